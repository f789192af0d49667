import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CLOSE_REASONS, type CloseReason, cutReason, isValidOnWire } from '../internal/close-codes.js';

const REASONS: readonly [string, CloseReason][] = Object.entries(CLOSE_REASONS);

describe('every close reason', () => {
  it('has a name of its own, in snake case, made of its key', () => {
    for (const [key, { name }] of REASONS) {
      assert.match(name, /^[a-z]+(?:_[a-z]+)*$/);
      assert.equal(
        name,
        key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      );
    }
    assert.equal(new Set(REASONS.map(([, { name }]) => name)).size, REASONS.length);
  });

  it('says to either side what may stand in a close frame', () => {
    for (const [key, { client, upstream }] of REASONS)
      for (const told of [client, upstream]) {
        if (told === undefined) continue;
        assert.ok(isValidOnWire(told.code), key);
        assert.ok(Buffer.byteLength(told.reason) <= 123, key);
        assert.equal(cutReason(told.reason), told.reason);
      }
  });

  it('is frozen and explained', () => {
    assert.ok(Object.isFrozen(CLOSE_REASONS));
    for (const [key, reason] of REASONS) {
      assert.ok(
        Object.isFrozen(reason) && (reason.client === undefined || Object.isFrozen(reason.client)),
        key,
      );
      assert.notEqual(reason.meaning, '', key);
    }
  });

  it('has the code and text that clients rely on', () => {
    const contract: Readonly<Record<string, [number, string]>> = {
      jwtMissing: [1008, 'JWT missing'],
      jwtMalformed: [1008, 'Malformed JWT'],
      jwtInvalid: [1008, 'JWT invalid or expired'],
      authTimeout: [1008, 'Authentication timeout'],
      authUnavailable: [1013, 'Authentication unavailable'],
      tokenExpired: [1008, 'Token expired'],
      tokenRevoked: [1008, 'Token revoked'],
      forbidden: [1008, 'Forbidden'],
      rateLimited: [1008, 'Rate limit exceeded'],
      tooManyConnections: [1008, 'Too many connections'],
      badConnect: [1002, 'Bad CONNECT'],
      noRoute: [1003, 'unknown WS path'],
      upstreamUnavailable: [1014, 'Upstream unavailable'],
      upstreamLost: [1014, 'Upstream connection lost'],
      circuitOpen: [1013, 'Upstream circuit open'],
      upstreamDrained: [1013, 'Upstream drained'],
      upstreamTooSlow: [1013, 'Upstream too slow'],
      shutdown: [1001, 'Server shutting down'],
    };
    for (const [key, [code, reason]] of Object.entries(contract))
      assert.deepEqual(new Map(REASONS).get(key)?.client, { code, reason }, key);
  });
});

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
