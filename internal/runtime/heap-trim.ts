import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const CHECK_MS = 2_000;
/** Share of the time between two checks in which the event loop had work: below it the process is idle. */
const IDLE_UTILIZATION = 0.05;
/** The same of a process whose sessions talk, but leave it time to be collected in steps. */
const MODERATE_UTILIZATION = 0.3;
/** Growth of the heap, since it was last collected, that is worth a collection. */
const WORTHWHILE_BYTES = 12 * 1024 * 1024;
/**
 * Sessions that have gone since then, of which each leaves 8 KB and more: that is as much, in
 * a heap that need not grow.
 */
const WORTHWHILE_SESSIONS = 1_500;
/** A larger heap takes longer to collect at once, 1.6 ms a megabyte, than anybody should wait. */
const MAX_HEAP_BYTES = 128 * 1024 * 1024;
/** Checks without growth after which the time of much allocation is over, for a process that is not idle. */
const CALM_CHECKS = 3;
const GROWTH_BYTES = 1024 * 1024;
/**
 * Collections in steps, one a check: the first finds what is garbage, each of the others moves as much of
 * what lives as V8 thinks fit, some 10 ms. Moving all at once takes 25 to 70 ms.
 */
const COLLECTIONS_IN_STEPS = 6;
/**
 * Collections of young objects that follow, each a millisecond: V8 shrinks their part of the heap at one of
 * them, once it is clear that little is allocated, which takes it some five seconds.
 */
const YOUNG_COLLECTIONS = 6;

/** See `--expose-gc`; without options everything is collected. */
type Collector = (options?: { readonly type: 'minor' }) => void;

/**
 * Has the heap collected once the process has become idle, or at least calm, after a time of much allocation,
 * such as its start or thousands of clients that connected at once. V8 leaves the memory for young objects at
 * the size that this took, and what became garbage where it is, until something allocates again: with
 * sessions that say little, for hours. An idle process does it at once; one whose sessions talk marks beside
 * them, and stops for the short rest alone.
 */
export class HeapTrim {
  readonly #collector: Collector;
  #timer: NodeJS.Timeout | undefined;
  /** Size of the heap after the last collection; 0: none yet. */
  #trimmedBytes = 0;
  /** The most sessions since then. */
  #mostSessions = 0;
  /** Size of the heap at the last check, and how many checks it has not grown for. */
  #lastBytes = 0;
  #calmChecks = 0;
  /** Collections of young objects, and collections in steps, still to come. */
  #left = 0;
  #stepsLeft = 0;
  /** Whether the last collection was one in steps: they leave more than one that does it all. */
  #isInSteps = false;

  /**
   * @param sessions how many there are.
   * @param checkMs between two looks at whether the process is idle.
   * @param utilization of the event loop since it was last asked; for tests, as one that waits
   *   for a CPU passes for busy.
   */
  constructor(
    readonly sessions: () => number,
    readonly checkMs: number = CHECK_MS,
    readonly utilization: () => number = utilizationSinceLast(),
  ) {
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
    const utilization = this.utilization();
    const heapBytes = getHeapStatistics().total_heap_size;
    this.#calmChecks = heapBytes > this.#lastBytes + GROWTH_BYTES ? 0 : this.#calmChecks + 1;
    this.#lastBytes = heapBytes;
    this.#trimmedBytes = Math.min(this.#trimmedBytes, heapBytes);
    this.#mostSessions = Math.max(this.#mostSessions, this.sessions());
    if (utilization > MODERATE_UTILIZATION) return;
    if (utilization > IDLE_UTILIZATION || heapBytes > MAX_HEAP_BYTES) this.#checkCalm(heapBytes);
    else if (this.#isInSteps || this.#isWorthwhile(heapBytes)) this.#collectAll();
    else if (this.#left > 0) this.#collectYoung();
  }

  #checkCalm(heapBytes: number): void {
    if (this.#calmChecks >= CALM_CHECKS && this.#isWorthwhile(heapBytes))
      this.#stepsLeft = COLLECTIONS_IN_STEPS;
    if (this.#stepsLeft > 0) this.#collectInSteps();
  }

  #isWorthwhile(heapBytes: number): boolean {
    return (
      heapBytes - this.#trimmedBytes > WORTHWHILE_BYTES ||
      this.#mostSessions - this.sessions() > WORTHWHILE_SESSIONS
    );
  }

  #collectAll(): void {
    // V8 gives back whole pages only, and by itself moves what lives out of none but the emptiest ones.
    withFlag('compact-on-every-full-gc', () => this.#collector());
    this.#stepsLeft = 0;
    this.#isInSteps = false;
    this.#left = YOUNG_COLLECTIONS;
    this.#isTrimmed();
  }

  /** Begins a collection as V8 does by itself when the heap has grown to its limit: over some 50 ms later. */
  #collectInSteps(): void {
    // V8 asks for the limit after a collection of young objects; with this flag it takes it for reached.
    withFlag('stress-incremental-marking', () => this.#collector({ type: 'minor' }));
    this.#stepsLeft--;
    this.#isInSteps = true;
    this.#isTrimmed();
  }

  #collectYoung(): void {
    this.#collector({ type: 'minor' });
    this.#left--;
    this.#trimmedBytes = Math.min(this.#trimmedBytes, getHeapStatistics().total_heap_size);
  }

  #isTrimmed(): void {
    this.#trimmedBytes = getHeapStatistics().total_heap_size;
    this.#mostSessions = this.sessions();
  }
}

function utilizationSinceLast(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
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
