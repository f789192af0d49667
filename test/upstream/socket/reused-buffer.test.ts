import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ReusedBuffer } from '../../../internal/upstream/socket/reused-buffer.js';

const PLACES = [
  0, 1, 2, 3, 4, 5, 6, 125, 126, 129, 130, 2047, 2048, 2049, 2050, 2051, 2052, 2053, 65_535, 65_536,
];

it('shows exactly the bytes that were asked for, wherever they lie and however often', () => {
  const memory = new ReusedBuffer();
  for (let at = 0; at < memory.length; at++) memory.bytes[at] = (at * 31) % 251;
  for (let round = 0; round < 2; round++) {
    for (const start of PLACES) {
      for (const end of PLACES.filter((place) => place >= start)) {
        assert.ok(memory.view(start, end).equals(memory.bytes.subarray(start, end)), `${start} to ${end}`);
      }
    }
  }
});

it('shows what the memory holds by then', () => {
  const memory = new ReusedBuffer();
  const view = memory.view(2, 7);
  memory.bytes.write('hello', 2);
  assert.equal(view.toString(), 'hello');
  assert.equal(memory.view(2, 7), view);
});
