import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { turnClock } from '../../internal/runtime/turn-clock.js';

function spin(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

it('says the same time throughout a turn of the event loop and the new one in the next', async () => {
  const now = turnClock();
  const beforeMs = performance.now();
  const first = now();
  assert.ok(first >= beforeMs && first <= performance.now());
  spin(3);
  await Promise.resolve();
  assert.equal(now(), first);
  await nextTurn();
  const second = now();
  assert.ok(second >= first + 3);
  assert.ok(second <= performance.now());
});

it('is never behind by more than the turn in which it is asked', async () => {
  const now = turnClock();
  for (let turn = 0; turn < 20; turn++) {
    const startedMs = performance.now();
    assert.ok(now() >= startedMs, `turn ${turn}`);
    spin(1);
    // A timer, then the check phase, in which the clock is looked at anew.
    await new Promise((resolve) => setTimeout(resolve, 1));
    await nextTurn();
  }
});
