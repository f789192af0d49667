import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { type Enrolled, Roll } from '../../internal/collections/roll.js';

const SEED = 20_261_129;

it(`a roll has whoever was added and not taken out since (seed ${SEED})`, () => {
  const step = fc.record({ add: fc.boolean(), who: fc.nat(5) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const all: Enrolled[] = Array.from({ length: 6 }, () => ({ rollPlace: -1 }));
      const roll = new Roll<Enrolled>();
      const expected = new Set<Enrolled>();
      for (const { add, who } of steps) {
        const member = all[who] ?? { rollPlace: -1 };
        if (add) {
          roll.add(member);
          expected.add(member);
        } else assert.equal(roll.delete(member), expected.delete(member));
        assert.equal(roll.size, expected.size);
        assert.deepEqual(new Set(roll), expected);
        for (const each of all) assert.equal(roll.has(each), expected.has(each));
      }
    }),
    { seed: SEED, numRuns: 500 },
  );
});

it('whoever goes through a roll may take all of them out', () => {
  const roll = new Roll<Enrolled>();
  for (let i = 0; i < 5; i++) roll.add({ rollPlace: -1 });
  for (const member of roll) assert.ok(roll.delete(member));
  assert.equal(roll.size, 0);
});
