const FIRST_MS = 100;
const LONGEST_MS = 2_000;

/**
 * Milliseconds to wait before the next attempt at reaching a store: doubling from 100 ms to 2 s, and a random
 * half of it taken off so that the processes of a fleet do not come back in step.
 * @param failures attempts that failed in a row, from 1.
 */
export function backoffMs(failures: number): number {
  const fullMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10));
  return fullMs * (0.5 + Math.random() / 2);
}
