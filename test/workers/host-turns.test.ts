import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HostTurns } from '../../internal/workers/host-turns.js';

describe('turns over the workers of a host', () => {
  /** Who has had the turn so far, in order. */
  function bench() {
    const turns = new HostTurns();
    const had: string[] = [];
    const workers = { a: { worker: 'a' }, b: { worker: 'b' }, c: { worker: 'c' } };
    const settled = () => new Promise((resume) => setImmediate(resume));
    return {
      take: (worker: keyof typeof workers, name = 'ann') =>
        void turns.take(name, workers[worker]).then(() => had.push(`${name} ${worker}`)),
      give: (worker: keyof typeof workers, name = 'ann') => turns.give(name, workers[worker]),
      forget: (worker: keyof typeof workers) => turns.forget(workers[worker]),
      had: async () => {
        await settled();
        return had;
      },
    };
  }

  it('are had one after the other, in the order they were asked for; others of another name meanwhile', async () => {
    const { take, give, had } = bench();
    for (const worker of ['a', 'b', 'c'] as const) take(worker);
    take('b', 'bob');
    assert.deepEqual(await had(), ['ann a', 'bob b']);
    give('a');
    assert.deepEqual(await had(), ['ann a', 'bob b', 'ann b']);
    give('b');
    give('c');
    take('a');
    assert.deepEqual(await had(), ['ann a', 'bob b', 'ann b', 'ann c', 'ann a']);
  });

  it('of a worker that ends go to the next, and it is left out of those to come', async () => {
    const { take, give, forget, had } = bench();
    for (const worker of ['a', 'b', 'c'] as const) take(worker);
    forget('b');
    forget('a');
    assert.deepEqual(await had(), ['ann a', 'ann c']);
    give('c');
    give('c');
    take('a');
    assert.deepEqual(await had(), ['ann a', 'ann c', 'ann a']);
  });
});
