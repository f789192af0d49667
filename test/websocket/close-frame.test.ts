import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cutReason, isValidOnWire } from '../../internal/websocket/close-frame.js';

describe('a reason that is too long', () => {
  it('is cut to 123 bytes, never inside a character', () => {
    assert.equal(cutReason('x'.repeat(123)), 'x'.repeat(123));
    assert.equal(cutReason('x'.repeat(124)), 'x'.repeat(123));
    assert.equal(cutReason('\u00e9'.repeat(100)), '\u00e9'.repeat(61));
    assert.equal(cutReason(`${'x'.repeat(122)}\u00e9`), 'x'.repeat(122));
    assert.equal(cutReason(`${'x'.repeat(121)}\u00e9`), `${'x'.repeat(121)}\u00e9`);
    assert.equal(cutReason(`${'x'.repeat(120)}\u{1f600}`), 'x'.repeat(120));
    assert.equal(cutReason('\u{1f600}'.repeat(31)), '\u{1f600}'.repeat(30));
    assert.equal(cutReason(''), '');
  });

  it('keeps as much of any text as fits', () => {
    const seed = Number(process.env.FC_SEED ?? 20_240_605);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const cut = cutReason(text);
        assert.ok(text.startsWith(cut));
        assert.ok(Buffer.byteLength(cut) <= 123);
        const [next] = text.slice(cut.length);
        if (next !== undefined) assert.ok(Buffer.byteLength(cut + next) > 123);
      }),
      { seed, numRuns: 2000 },
    );
  });
});

it('only codes of RFC 6455 section 7.4 and later registrations may come from a peer', () => {
  const valid = [];
  for (let code = 0; code < 65_536; code++) if (isValidOnWire(code)) valid.push(code);
  const low = valid.filter((code) => code < 3000);
  assert.deepEqual(low, [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]);
  assert.deepEqual([valid[low.length], valid.at(-1), valid.length], [3000, 4999, low.length + 2000]);
});
