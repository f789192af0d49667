import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { Multimap } from '../../internal/collections/multimap.js';

const SEED = 20_261_128;

it('a key of many values loses them, the first ones first, as quickly as it got them', () => {
  const multimap = new Multimap<string, string>();
  const values = Array.from({ length: 100_000 }, (_, at) => `value ${at}`);
  const cpuOf = (work: (value: string) => unknown): number => {
    const before = process.cpuUsage();
    for (const value of values) work(value);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const added = cpuOf((value) => multimap.add('key', value));
  const deleted = cpuOf((value) => multimap.delete('key', value));
  assert.equal(multimap.size, 0);
  assert.ok(deleted < 20 * added, `${deleted} \u00b5s after ${added}`);
});

it(`keeps the values of each key, each once, in the order they came (seed ${SEED})`, () => {
  const key = fc.constantFrom('a', 'b');
  const value = fc.constantFrom('1', '2', '3');
  const step = fc.record({ add: fc.boolean(), key, value });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const multimap = new Multimap<string, string>();
      const expected = new Map<string, Set<string>>([
        ['a', new Set()],
        ['b', new Set()],
      ]);
      for (const { add, key, value } of steps) {
        if (add) {
          multimap.add(key, value);
          expected.get(key)?.add(value);
        } else {
          assert.equal(multimap.delete(key, value), expected.get(key)?.delete(value));
        }
        for (const [each, values] of expected) {
          assert.deepEqual(multimap.of(each), [...values]);
          assert.equal(multimap.count(each), values.size);
        }
        assert.equal(multimap.size, [...expected.values()].filter(({ size }) => size > 0).length);
      }
    }),
    { seed: SEED, numRuns: 500 },
  );
});
