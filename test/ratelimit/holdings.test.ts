import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { Holdings } from '../../internal/ratelimit/holdings.js';

const SEED = 20_261_129;
const HOLDERS = ['a', 'b', 'c'];

it(`says what a Map of holders and their leases would (seed ${SEED})`, () => {
  const step = fc.record({
    holder: fc.constantFrom(...HOLDERS),
    leases: fc.option(fc.integer({ min: 0, max: 10 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const holdings = new Holdings();
      const expected = new Map<string, number>();
      for (const { holder, leases } of steps) {
        if (leases === undefined) {
          holdings.delete(holder);
          expected.delete(holder);
        } else {
          holdings.set(holder, leases);
          expected.set(holder, leases);
        }
        assert.equal(holdings.isEmpty, expected.size === 0);
        for (const each of HOLDERS) {
          assert.equal(holdings.get(each), expected.get(each));
          const others = new Map(expected);
          others.delete(each);
          assert.deepEqual(holdings.without(each), others);
        }
      }
    }),
    { seed: SEED, numRuns: 500 },
  );
});
