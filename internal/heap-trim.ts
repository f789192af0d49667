import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const CHECK_MS = 2_000;
/** Share of the time between two checks in which the event loop had work: below it the process is idle. */
const IDLE_UTILIZATION = 0.05;
/** Growth of the heap, since it was last collected, that is worth a collection. */
const WORTHWHILE_BYTES = 12 * 1024 * 1024;
/** The first ones free what is garbage; only then is it clear to V8 that little is allocated, and it shrinks. */
const COLLECTIONS = 4;
/** A larger heap takes longer to collect than anybody should wait: V8 does it in steps when it must. */
const MAX_HEAP_BYTES = 192 * 1024 * 1024;

/**
 * Has the heap collected once the process has become idle after a time of much allocation, such as thousands of clients
 * that connected at once. V8 leaves the memory for young objects at the size that this took, and what became garbage
 * where it is, until something allocates again: with sessions that say nothing, for hours.
 */
export class HeapTrim {
  readonly #collect: () => void;
  #timer: NodeJS.Timeout | undefined;
  #utilization = performance.eventLoopUtilization();
  #trimmedBytes: number;
  /** Collections still to come. */
  #left = 0;

  /** @param checkMs between two looks at whether the process is idle. */
  constructor(readonly checkMs: number = CHECK_MS) {
    // The one way to the collector that needs no flag on the command line.
    setFlagsFromString('--expose-gc');
    this.#collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
    this.#trimmedBytes = getHeapStatistics().total_heap_size;
  }

  start(): void {
    this.#timer = setInterval(() => this.#check(), this.checkMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization);
    this.#utilization = now;
    const heapBytes = getHeapStatistics().total_heap_size;
    if (utilization > IDLE_UTILIZATION || heapBytes > MAX_HEAP_BYTES) return;
    this.#trimmedBytes = Math.min(this.#trimmedBytes, heapBytes);
    if (this.#left === 0 && heapBytes - this.#trimmedBytes > WORTHWHILE_BYTES) this.#left = COLLECTIONS;
    if (this.#left === 0) return;
    this.#collect();
    this.#left--;
    this.#trimmedBytes = getHeapStatistics().total_heap_size;
  }
}
