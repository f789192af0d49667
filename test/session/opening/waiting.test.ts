import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WaitingMessages } from '../../../internal/session/opening/waiting.js';

describe('messages that wait for the upstream', () => {
  it('keep their order, bytes and type, as copies', () => {
    const waiting = new WaitingMessages();
    const lent = Buffer.from('abc');
    assert.ok(waiting.add(lent, false, 100));
    lent.fill(0);
    assert.ok(waiting.add(Buffer.of(1, 2), true, 100));
    assert.ok(waiting.add(Buffer.alloc(0), true, 100));
    assert.deepEqual(
      [...waiting].map(({ payload, isBinary }) => [Buffer.from(payload).toString('latin1'), isBinary]),
      [
        ['abc', false],
        ['\x01\x02', true],
        ['', true],
      ],
    );
    assert.equal(waiting.bytes, 5);
  });

  it('are bounded in bytes: exactly the limit fits', () => {
    const waiting = new WaitingMessages();
    assert.ok(waiting.add(Buffer.alloc(60), true, 100));
    assert.ok(!waiting.add(Buffer.alloc(41), true, 100));
    assert.ok(waiting.add(Buffer.alloc(40), true, 100));
    assert.ok(!waiting.add(Buffer.alloc(1), true, 100));
    assert.equal(waiting.bytes, 100);
    assert.ok(waiting.add(Buffer.alloc(1), true, 200), 'a later limit may be larger');
    assert.ok(!new WaitingMessages().add(Buffer.alloc(1), true, -5));
  });

  it('are bounded in number, so that empty ones cost no memory without end', () => {
    const waiting = new WaitingMessages();
    let kept = 0;
    while (kept < 1_000_000 && waiting.add(Buffer.alloc(0), true, 65_536)) kept++;
    assert.equal(kept, 4096);
    const generous = new WaitingMessages();
    for (kept = 0; kept < 1_000_000 && generous.add(Buffer.alloc(0), true, 16_777_216); ) kept++;
    assert.equal(kept, 4096, 'however large the limit is');
    assert.ok(new WaitingMessages().add(Buffer.alloc(0), true, 0), 'at least one');
  });
});
