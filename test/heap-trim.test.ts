import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { HeapTrim } from '../internal/heap-trim.js';
import { eventually } from './support/eventually.js';

const heapBytes = (): number => getHeapStatistics().total_heap_size;

/** Who looks often is busy, where others have the CPU. */
const idle = (): Promise<true> => pause(500, true as const);

it('an idle process gives back what a time of much allocation took', async (t) => {
  const trim = new HeapTrim(() => 0, 100);
  trim.start();
  t.after(() => trim.stop());
  const before = heapBytes();
  let lists: number[][] | undefined = [];
  for (let i = 0; i < 40_000; i++) lists.push(Array.from({ length: 100 }, () => i));
  const full = heapBytes();
  assert.ok(full - before > 24 * 2 ** 20, 'there is something to give back');
  lists = undefined;
  await eventually(async () => (await idle()) && heapBytes() < before + (full - before) / 2, 30_000);
});

it('what lives among garbage is moved together', async (t) => {
  const trim = new HeapTrim(() => 0, 100);
  const before = heapBytes();
  let lists: number[][] | undefined = [];
  for (let i = 0; i < 80_000; i++) lists.push(Array.from({ length: 100 }, () => i));
  const full = heapBytes();
  assert.ok(full - before > 24 * 2 ** 20, 'there is something to give back');
  const kept = lists.filter((_, index) => index % 20 === 0);
  lists = undefined;
  trim.start();
  t.after(() => trim.stop());
  await eventually(async () => (await idle()) && heapBytes() < before + (full - before) / 4, 30_000);
  assert.equal(kept.length, 4_000);
});

it('a process whose sessions talk gives back what those took that have gone, a step at a time', async (t) => {
  const talk = setInterval(() => burn(15), 100);
  t.after(() => clearInterval(talk));
  let [sessions, looks] = [2_000, 0];
  const trim = new HeapTrim(() => {
    looks++;
    return sessions;
  }, 200);
  const before = heapBytes();
  let lists: number[][] | undefined = [];
  for (let i = 0; i < 80_000; i++) lists.push(Array.from({ length: 100 }, () => i));
  const full = heapBytes();
  assert.ok(full - before > 24 * 2 ** 20, 'there is something to give back');
  const kept = lists.filter((_, index) => index % 20 === 0);
  trim.start();
  t.after(() => trim.stop());
  await eventually(() => looks > 30, 30_000);
  assert.ok(heapBytes() > before + (full - before) / 2, 'what lives stays');
  sessions = 0;
  lists = undefined;
  await eventually(async () => (await idle()) && heapBytes() < before + (full - before) / 4, 30_000);
  assert.equal(kept.length, 4_000);
});

/** @param forMs of CPU time, as long as others leave it that. */
function burn(forMs: number): void {
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs) JSON.parse('[1, 2, 3]');
}
