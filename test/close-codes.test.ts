import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLOSE_REASONS, type CloseReason } from '../internal/close-codes.js';
import { cutReason, isValidOnWire } from '../internal/websocket/close-frame.js';

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
      tooManyLogins: [1008, 'Too many failed logins'],
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
