import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Bans } from '../../internal/auth/bans/bans.js';
import { MemoryClaims } from '../../internal/auth/once/claims.js';
import { Revocations } from '../../internal/auth/revocations/revocations.js';
import { patientTime } from '../../internal/runtime/patient-time.js';
import { recordedLog } from '../store/recorded-log.js';

const HOUR_MS = 3_600_000;

/** A wall clock that is put, and one that just runs. */
function clocks() {
  const startMs = Date.now();
  const state = { aheadMs: 0, runMs: 0 };
  const now = patientTime({
    wallMs: () => startMs + state.runMs + state.aheadMs,
    steadyMs: () => state.runMs,
  });
  return { startMs, state, now };
}

describe('a wall clock that is put ahead', () => {
  it('is believed when it has stayed there for ten minutes', () => {
    const { startMs, state, now } = clocks();
    state.aheadMs = 2 * HOUR_MS;
    assert.equal(now(), startMs);
    state.runMs = 599_000;
    assert.equal(now(), startMs + 599_000);
    state.runMs = 600_000;
    assert.equal(now(), startMs + 600_000 + 2 * HOUR_MS);
    state.aheadMs = 0;
    assert.equal(now(), startMs + 600_000, 'put back it is believed at once');
  });

  it('and back has never been there; the next time its ten minutes begin anew', () => {
    const { startMs, state, now } = clocks();
    for (state.runMs = 0; state.runMs < 2 * HOUR_MS; state.runMs += 300_000) {
      state.aheadMs = state.runMs % 600_000 === 0 ? HOUR_MS : 0;
      assert.equal(now(), startMs + state.runMs);
    }
  });

  it('in small steps, as one that is steered, is followed', () => {
    const { startMs, state, now } = clocks();
    for (let step = 0; step < 100; step++) {
      state.runMs += 1_000;
      state.aheadMs += 500;
      assert.equal(now(), startMs + state.runMs + state.aheadMs);
    }
  });

  it('makes nobody forget what is revoked, banned or used up', async () => {
    const { startMs, state, now } = clocks();
    const parts = { log: recordedLog().log, counter: { inc: () => {} }, now };
    const revocations = new Revocations({ ttlMs: HOUR_MS, store: undefined, ...parts });
    const bans = new Bans({ list: undefined, ...parts });
    const claims = new MemoryClaims(now);
    await revocations.revoke({ sub: 'alice', jti: '1' });
    await bans.ban('bob', undefined, startMs + HOUR_MS);
    await claims.claim('key', startMs + HOUR_MS);
    const held = async () => [
      revocations.isRevoked({ sub: 'alice', jti: '1' }),
      bans.isBanned('bob'),
      await claims.isClaimed('key'),
    ];
    state.aheadMs = 2 * HOUR_MS;
    // What looks for something to forget.
    await bans.ban('carol', undefined, startMs + HOUR_MS);
    await claims.claim('other', startMs + HOUR_MS);
    assert.deepEqual(await held(), [true, true, true]);
    state.aheadMs = 0;
    assert.deepEqual(await held(), [true, true, true]);
    state.runMs = 2 * HOUR_MS;
    assert.deepEqual(await held(), [false, false, false]);
  });
});
