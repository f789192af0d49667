import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Outbox } from '../../internal/store/agreement/outbox.js';
import { recordedLog } from './recorded-log.js';

interface Said {
  readonly key: string;
  readonly version: number;
}

/** What is told is settled by the test, in whatever order. */
function outbox() {
  const asked: { readonly entry: Said; settle(isTold: boolean): void }[] = [];
  const made = new Outbox<Said>({
    tell: (entry) =>
      new Promise((resolve, reject) => {
        asked.push({ entry, settle: (isTold) => (isTold ? resolve() : reject(new Error('not now'))) });
      }),
    keyOf: ({ key }) => key,
    isOver: () => false,
    what: 'entries',
    log: recordedLog().log,
  });
  const settle = (isTold: boolean): Said => {
    const [first = assert.fail('nobody is told anything')] = asked.splice(0, 1);
    first.settle(isTold);
    return first.entry;
  };
  return { made, asked, settle };
}

describe('what a store could not be told', () => {
  it('is told later, in its newest version alone', async () => {
    const { made, asked, settle } = outbox();
    for (const version of [1, 2]) {
      const sending = made.send({ key: 'a', version });
      settle(false);
      assert.equal(await sending, false);
    }
    assert.equal(made.size, 1);
    const flushing = made.flush();
    assert.deepEqual(settle(true), { key: 'a', version: 2 });
    await flushing;
    assert.deepEqual([made.size, asked.length], [0, 0]);
  });

  it('is not told any more once something newer was', async () => {
    const { made, asked, settle } = outbox();
    const first = made.send({ key: 'a', version: 1 });
    settle(false);
    await first;
    const second = made.send({ key: 'a', version: 2 });
    settle(true);
    assert.equal(await second, true);
    assert.equal(made.size, 0);
    await made.flush();
    assert.deepEqual(asked, []);
  });

  it('is not kept when that fails after something newer was told, or while it is', async () => {
    for (const isTold of [true, false]) {
      const { made, asked, settle } = outbox();
      const first = made.send({ key: 'a', version: 1 });
      const second = made.send({ key: 'a', version: 2 });
      const late = asked.shift();
      if (isTold) {
        settle(true);
        await second;
      }
      late?.settle(false);
      assert.equal(await first, false);
      assert.equal(made.size, 0);
      if (isTold) continue;
      settle(false);
      await second;
      assert.equal(made.size, 1);
    }
  });
});
