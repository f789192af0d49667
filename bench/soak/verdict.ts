import type { Sample } from './sampler.js';
import { floorOf, type Trend, trendOf } from './trend.js';

/** Growth of memory that still counts as none, over the time that is judged. */
const TOLERANCE_BYTES = 8_000_000;
const TOLERANCE_SHARE = 0.05;
/** A shorter run is all warm-up: a heap that has just been filled still grows. */
const LEAST_MINUTES = 10;
/** Samples of which the lowest counts: several collections of the heap fall in so many. */
const FLOOR_SAMPLES = 6;

export interface MemoryVerdict {
  readonly what: 'RSS' | 'heap';
  /** Over the last two thirds of the run; the first one is the warm-up. */
  readonly trend: Trend;
  readonly meanBytes: number;
  readonly toleranceBytes: number;
  readonly judged: boolean;
  readonly flat: boolean;
}

export function judgeMemory(samples: readonly Sample[], minutes: number): MemoryVerdict[] {
  const judged = samples.slice(Math.floor(samples.length / 3));
  const of = (what: 'RSS' | 'heap', points: { seconds: number; value: number }[]): MemoryVerdict => {
    const trend = trendOf(points);
    const meanBytes = points.reduce((sum, { value }) => sum + value, 0) / points.length;
    const toleranceBytes = Math.max(TOLERANCE_BYTES, TOLERANCE_SHARE * meanBytes);
    const longEnough = minutes >= LEAST_MINUTES;
    const flat = !longEnough || trend.growth <= toleranceBytes;
    return { what, trend, meanBytes, toleranceBytes, judged: longEnough, flat };
  };
  const rss = judged.map(({ seconds, rssBytes }) => ({ seconds, value: rssBytes }));
  const heap = judged.map(({ seconds, heapBytes }) => ({ seconds, value: heapBytes }));
  return [of('RSS', rss), of('heap', floorOf(heap, FLOOR_SAMPLES))];
}
