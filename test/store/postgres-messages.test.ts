import assert from 'node:assert/strict';
import { it } from 'node:test';
import { PostgresMessages } from '../../internal/store/postgres-messages.js';

function message(type: string, text: string): Buffer {
  const head = Buffer.alloc(5, type);
  head.writeUInt32BE(4 + Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

const SENT = [
  message('Z', 'I'),
  message('1', ''),
  message('E', 'SERROR\0Mno such thing\0\0'),
  message('E', '\0'),
  message('N', 'M\0\0 and what nobody reads'),
  message('D', 'x'.repeat(100_000)),
];

it('the messages of a server are taken whole and one by one, however they come', () => {
  const all = Buffer.concat(SENT);
  for (const size of [1, 2, 5, 7, 4096, all.length]) {
    const messages = new PostgresMessages();
    const taken: Buffer[] = [];
    for (let at = 0; at < all.length; at += size)
      messages.read(all.subarray(at, at + size), (one) => taken.push(one));
    assert.deepEqual(taken, SENT, `${size} bytes at a time`);
  }
});

it('one of 16 MiB is taken, a longer one is refused at its head', () => {
  const head = (length: number) =>
    Buffer.from([0x44, ...new Uint8Array(new Uint32Array([length]).buffer).reverse()]);
  const messages = new PostgresMessages();
  let length = 0;
  messages.read(head(16_777_216), () => {});
  messages.read(Buffer.alloc(16_777_212), (one) => {
    length = one.length;
  });
  assert.equal(length, 16_777_217);
  assert.throws(() => new PostgresMessages().read(head(16_777_217), () => {}), RangeError);
});
