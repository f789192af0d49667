import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PacedQueue } from '../../internal/runtime/paced-queue.js';

test('what is within a turn’s share runs at once, the rest in the turns that follow, in the order it came', async () => {
  const queue = new PacedQueue(2);
  const done: number[] = [];
  for (const job of [1, 2, 3, 4, 5]) queue.run(() => done.push(job));
  assert.deepEqual(done, [1, 2]);
  await nextTurn();
  assert.deepEqual(done, [1, 2, 3, 4]);
  queue.run(() => done.push(6));
  assert.deepEqual(done, [1, 2, 3, 4], 'who comes later does not overtake');
  await nextTurn();
  assert.deepEqual(done, [1, 2, 3, 4, 5, 6]);
});

test('every turn has its share again, and work may bring more work', async () => {
  const queue = new PacedQueue(1);
  const done: string[] = [];
  queue.run(() => {
    done.push('first');
    queue.run(() => done.push('second'));
  });
  assert.deepEqual(done, ['first']);
  await nextTurn();
  assert.deepEqual(done, ['first', 'second']);
  await nextTurn();
  queue.run(() => done.push('third'));
  assert.deepEqual(done, ['first', 'second', 'third']);
});

test('whoever awaits a turn goes on in it', async () => {
  const queue = new PacedQueue(1);
  let through = 0;
  for (let waiters = 0; waiters < 3; waiters++) void Promise.resolve(queue.turn()).then(() => through++);
  await nextTurn();
  assert.ok(through >= 1 && through < 3, `${through}`);
  await nextTurn();
  await nextTurn();
  assert.equal(through, 3);
});
