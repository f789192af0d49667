import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { DenseSet, type DenseSetMember } from '../../internal/collections/dense-set.js';

const SEED = 20_261_129;

it(`a set has whoever was added and not taken out since (seed ${SEED})`, () => {
  const step = fc.record({ add: fc.boolean(), who: fc.nat(5) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const all: DenseSetMember[] = Array.from({ length: 6 }, () => ({ denseIndex: -1 }));
      const set = new DenseSet<DenseSetMember>();
      const expected = new Set<DenseSetMember>();
      for (const { add, who } of steps) {
        const member = all[who] ?? { denseIndex: -1 };
        if (add) {
          set.add(member);
          expected.add(member);
        } else assert.equal(set.delete(member), expected.delete(member));
        assert.equal(set.size, expected.size);
        assert.deepEqual(new Set(set), expected);
        for (const each of all) assert.equal(set.has(each), expected.has(each));
      }
    }),
    { seed: SEED, numRuns: 500 },
  );
});

it('whoever goes through a set may take all of them out', () => {
  const set = new DenseSet<DenseSetMember>();
  for (let i = 0; i < 5; i++) set.add({ denseIndex: -1 });
  for (const member of set) assert.ok(set.delete(member));
  assert.equal(set.size, 0);
});
