import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TokenBucket } from '../../internal/ratelimit/token-bucket.js';

describe('token bucket', () => {
  it('gives exactly its burst at once, and one more only when it has been gained', () => {
    const bucket = new TokenBucket(10, 30, 0);
    for (let index = 0; index < 30; index++) assert.ok(bucket.take(0));
    assert.equal(bucket.take(0), false);
    assert.equal(bucket.take(50), false);
    assert.ok(bucket.take(100));
    assert.equal(bucket.take(100), false);
  });

  it('a refused taking costs nothing', () => {
    const bucket = new TokenBucket(1, 5, 0);
    assert.equal(bucket.take(0, 6), false);
    assert.ok(bucket.take(0, 5));
  });

  it('idle for ever it holds its burst and no more', () => {
    const bucket = new TokenBucket(10, 30, 0);
    let taken = 0;
    while (bucket.take(1e12)) taken++;
    assert.equal(taken, 30);
  });

  const clocks = {
    'a fine clock': (ms: number) => ms,
    'a clock of whole milliseconds': Math.floor,
    'the time of day': (ms: number) => 1.7e12 + ms,
  };
  for (const [name, clock] of Object.entries(clocks)) {
    for (const perSecond of [0.3, 3, 7, 10, 30, 60, 499, 1000]) {
      it(`by ${name} a client at exactly ${perSecond} a second is never refused, with a burst of 1`, () => {
        const bucket = new TokenBucket(perSecond, 1, clock(0));
        for (let index = 0; index < 300_000; index++) {
          assert.ok(bucket.take(clock((index * 1000) / perSecond)), `message ${index}`);
        }
      });
    }
  }

  it('spends its whole burst and then goes on at exactly the rate', () => {
    const bucket = new TokenBucket(10, 30, 0);
    for (let index = 0; index < 30; index++) assert.ok(bucket.take(0));
    for (let index = 1; index < 100_000; index++) assert.ok(bucket.take(index * 100));
  });

  it('one fifth more than the rate is found out when the burst is used up', () => {
    const bucket = new TokenBucket(10, 30, 0);
    let sent = 0;
    while (bucket.take((sent * 1000) / 12)) sent++;
    assert.ok(sent >= 175 && sent <= 182, String(sent));
  });

  it('a clock that steps back neither gives nor costs tokens', () => {
    const bucket = new TokenBucket(10, 30, 1_000_000);
    for (let index = 0; index < 30; index++) bucket.take(1_000_000);
    assert.equal(bucket.take(1000), false);
    assert.equal(bucket.take(1050), false);
    assert.ok(bucket.take(1100));
  });

  it('survives limits as large as those that mean none', () => {
    const bucket = new TokenBucket(1e9, 1e9, 0);
    for (let index = 0; index < 1000; index++) assert.ok(bucket.take(index / 1000));
  });

  it('agrees with the definition over any sequence of takings', () => {
    const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
    console.log(`seed ${seed}`);
    const step = fc.record({
      waitMs: fc.integer({ min: -500, max: 3000 }),
      tokens: fc.integer({ min: 0, max: 12 }),
    });
    const property = fc.property(
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 1, max: 50 }),
      fc.array(step, { maxLength: 300 }),
      (perSecond, burst, steps) => {
        const bucket = new TokenBucket(perSecond, burst, 0);
        const slack = Math.min(0.5, perSecond / 1000);
        let nowMs = 0;
        /** In thousandths of a token: whole numbers, no rounding. */
        let level = burst * 1000;
        let taken = 0;
        let forwardMs = 0;
        for (const { waitMs, tokens } of steps) {
          nowMs += waitMs;
          forwardMs += Math.max(0, waitMs);
          level = Math.min(burst * 1000, level + Math.max(0, waitMs) * perSecond);
          const got = bucket.take(nowMs, tokens);
          const left = level - tokens * 1000;
          if (left >= 0) assert.ok(got, `${tokens} of ${level / 1000}`);
          if (left < -1000 * slack - 0.1) assert.ok(!got, `${tokens} of ${level / 1000}`);
          if (!got) continue;
          level = left;
          taken += tokens;
        }
        assert.ok(taken <= burst + (perSecond * forwardMs) / 1000 + slack + 1e-6);
      },
    );
    fc.assert(property, { seed, numRuns: 2000 });
  });
});
