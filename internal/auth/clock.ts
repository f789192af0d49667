/** A clock for ages and delays, not for dates; tests pass in their own. */
export interface Clock {
  /** Milliseconds of a clock that never jumps. */
  nowMs(): number;
  /** Runs `work` once after the delay, without keeping the process alive for it; the result takes it back. */
  after(delayMs: number, work: () => void): () => void;
}

/** The longest delay of a timer of Node; a longer one would fire at once. */
const MAX_DELAY_MS = 2_147_483_647;

export const SYSTEM_CLOCK: Clock = Object.freeze({
  nowMs: () => performance.now(),
  after(delayMs: number, work: () => void) {
    const timer = setTimeout(work, Math.min(delayMs, MAX_DELAY_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
});
