import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const CHECK_MS = 2_000;
/** Share of the time between two checks in which the event loop had work: below it the process is idle. */
const IDLE_UTILIZATION = 0.05;
/** Growth of the heap, since it was last collected, that is worth a collection. */
const WORTHWHILE_BYTES = 12 * 1024 * 1024;
/** A larger heap takes longer to collect, 1.6 ms a megabyte, than anybody should wait: V8 does it in steps when it must. */
const MAX_HEAP_BYTES = 128 * 1024 * 1024;
/**
 * Collections of young objects that follow, each a millisecond: V8 shrinks their part of the heap at one of them, once
 * it is clear that little is allocated, which takes it some five seconds.
 */
const YOUNG_COLLECTIONS = 6;

/** See `--expose-gc`; without options everything is collected. */
type Collector = (options?: { readonly type: 'minor' }) => void;

/**
 * Has the heap collected once the process has become idle after a time of much allocation, such as its start or
 * thousands of clients that connected at once. V8 leaves the memory for young objects at the size that this took, and
 * what became garbage where it is, until something allocates again: with sessions that say nothing, for hours.
 */
export class HeapTrim {
  readonly #collector: Collector;
  #timer: NodeJS.Timeout | undefined;
  #utilization = performance.eventLoopUtilization();
  /** Size of the heap after the last collection; 0: none yet. */
  #trimmedBytes = 0;
  /** Collections of young objects still to come. */
  #left = 0;

  /** @param checkMs between two looks at whether the process is idle. */
  constructor(readonly checkMs: number = CHECK_MS) {
    // The one way to the collector that needs no flag on the command line.
    this.#collector = withFlag('expose-gc', () => runInNewContext('gc') as Collector);
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
    if (utilization > IDLE_UTILIZATION) return;
    const heapBytes = getHeapStatistics().total_heap_size;
    this.#trimmedBytes = Math.min(this.#trimmedBytes, heapBytes);
    if (heapBytes - this.#trimmedBytes > WORTHWHILE_BYTES && heapBytes <= MAX_HEAP_BYTES) this.#collectAll();
    else if (this.#left > 0) this.#collectYoung();
  }

  #collectAll(): void {
    // V8 gives back whole pages only, and by itself moves what lives out of none but the emptiest ones.
    withFlag('compact-on-every-full-gc', () => this.#collector());
    this.#left = YOUNG_COLLECTIONS;
    this.#trimmedBytes = getHeapStatistics().total_heap_size;
  }

  #collectYoung(): void {
    this.#collector({ type: 'minor' });
    this.#left--;
    this.#trimmedBytes = Math.min(this.#trimmedBytes, getHeapStatistics().total_heap_size);
  }
}

/** What `work` returns, done with a boolean flag of V8 on. */
function withFlag<T>(flag: string, work: () => T): T {
  setFlagsFromString(`--${flag}`);
  try {
    return work();
  } finally {
    setFlagsFromString(`--no-${flag}`);
  }
}
