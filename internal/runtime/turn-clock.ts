/**
 * Monotonic milliseconds, asked of the system once in a turn of the event loop: a read that brings many
 * messages costs one look at the clock, not one a message. What it says is never ahead, and behind by no more
 * than the turn has lasted.
 */
export function turnClock(): () => number {
  let nowMs = 0;
  let known = false;
  const forget = (): void => {
    known = false;
  };
  return () => {
    if (!known) {
      known = true;
      nowMs = performance.now();
      setImmediate(forget);
    }
    return nowMs;
  };
}
