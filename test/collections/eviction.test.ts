import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { oldestBeyond, SweepCursor } from '../../internal/collections/eviction.js';

describe('what came first', () => {
  const numbers = (count: number) => new Set(Array.from({ length: count }, (_, at) => at));

  it('stays as long as there is room', () => {
    assert.deepEqual(oldestBeyond(numbers(0), 0), []);
    assert.deepEqual(oldestBeyond(numbers(1_000), 1_000), []);
  });

  it('goes one by one, of many a hundredth at a time', () => {
    assert.deepEqual(oldestBeyond(numbers(4), 3), [0]);
    assert.deepEqual(oldestBeyond(numbers(6), 3), [0, 1, 2]);
    assert.deepEqual(oldestBeyond(numbers(1_001), 1_000), [0]);
    assert.deepEqual(oldestBeyond(numbers(10_001), 10_000), [...numbers(101)]);
    assert.deepEqual(oldestBeyond(numbers(1), 0), [0]);
  });

  it('is the keys of a Map', () => {
    assert.deepEqual(
      oldestBeyond(
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
        1,
      ),
      ['a'],
    );
  });
});

describe('a cursor that sweeps a Map', () => {
  it('gives each entry in its turn, those that came meanwhile too', () => {
    const map = new Map([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ]);
    const cursor = new SweepCursor(map);
    const next = (most: number) => [...cursor.next(most)].map(([key]) => key);
    assert.deepEqual(next(2), ['a', 'b']);
    map.set('d', 4);
    map.delete('c');
    assert.deepEqual(next(2), ['d'], 'it stops at the end of the Map');
    assert.deepEqual(next(5), ['a', 'b', 'd']);
    map.clear();
    assert.deepEqual(next(2), []);
    map.set('e', 5);
    assert.deepEqual(next(2), ['e']);
  });

  it('lets what it gives be deleted', () => {
    const map = new Map(Array.from({ length: 1_000 }, (_, at) => [at, at] as const));
    const cursor = new SweepCursor(map);
    for (let step = 0; step < 500; step++) for (const [key] of cursor.next(2)) map.delete(key);
    assert.equal(map.size, 0);
  });
});
