import assert from 'node:assert/strict';
import { it } from 'node:test';
import { getHeapStatistics } from 'node:v8';
import { HeapTrim } from '../../internal/runtime/heap-trim.js';
import { eventually } from '../support/eventually.js';

const heapBytes = (): number => getHeapStatistics().total_heap_size;

/** V8 gives the place for young objects back at a collection seconds after the last allocation. */
const CHECK_MS = 1_000;

it('an idle process gives back what a time of much allocation took', async (t) => {
  const trim = new HeapTrim(
    () => 0,
    CHECK_MS,
    () => 0,
  );
  trim.start();
  t.after(() => trim.stop());
  const before = heapBytes();
  let lists: number[][] | undefined = [];
  for (let i = 0; i < 40_000; i++) lists.push(Array.from({ length: 100 }, () => i));
  const full = heapBytes();
  assert.ok(full - before > 24 * 2 ** 20, 'there is something to give back');
  lists = undefined;
  await eventually(() => heapBytes() < before + (full - before) / 2, 30_000);
});

it('what lives among garbage is moved together', async (t) => {
  const trim = new HeapTrim(
    () => 0,
    CHECK_MS,
    () => 0,
  );
  const before = heapBytes();
  let lists: number[][] | undefined = [];
  for (let i = 0; i < 80_000; i++) lists.push(Array.from({ length: 100 }, () => i));
  const full = heapBytes();
  assert.ok(full - before > 24 * 2 ** 20, 'there is something to give back');
  const kept = lists.filter((_, index) => index % 20 === 0);
  lists = undefined;
  trim.start();
  t.after(() => trim.stop());
  await eventually(() => heapBytes() < before + (full - before) / 4, 30_000);
  assert.equal(kept.length, 4_000);
});

it('a process whose sessions talk gives back what those took that have gone, a step at a time', async (t) => {
  let [sessions, looks] = [2_000, 0];
  const count = () => {
    looks++;
    return sessions;
  };
  const trim = new HeapTrim(count, 200, () => 0.15);
  const before = heapBytes();
  let lists: number[][] | undefined = [];
  for (let i = 0; i < 80_000; i++) lists.push(Array.from({ length: 100 }, () => i));
  const full = heapBytes();
  assert.ok(full - before > 24 * 2 ** 20, 'there is something to give back');
  const kept = lists.filter((_, index) => index % 20 === 0);
  trim.start();
  t.after(() => trim.stop());
  await eventually(() => looks > 30, 30_000);
  // Eight bytes for each number in them.
  assert.ok(getHeapStatistics().used_heap_size > lists.length * 800, 'what lives stays');
  sessions = 0;
  lists = undefined;
  await eventually(() => heapBytes() < before + (full - before) / 4, 30_000);
  assert.equal(kept.length, 4_000);
});

it('what steps have left is collected once the process is idle', async (t) => {
  let [sessions, utilization, looks] = [2_000, 0.15, 0];
  const trim = new HeapTrim(
    () => sessions,
    100,
    () => {
      looks++;
      return utilization;
    },
  );
  let kept: object | undefined = {};
  const seen = new WeakRef(kept);
  trim.start();
  t.after(() => trim.stop());
  await eventually(() => looks > 5, 30_000);
  sessions = 0;
  // All steps are over, in which it has become old.
  await eventually(() => looks > 20, 30_000);
  assert.equal(seen.deref(), kept);
  kept = undefined;
  utilization = 0;
  await eventually(() => seen.deref() === undefined, 10_000);
});
