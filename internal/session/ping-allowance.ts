/**
 * Pings and pongs a client may send while the wheel's clock stands still, which is 200 ms unless the
 * process is busy: far more than keep-alive needs. Each costs as much as a message and is answered, and no
 * message budget counts them.
 */
const MAX_PER_TICK = 50;

/** Tells a flood of pings and pongs from signs of life. */
export class PingAllowance {
  #tickMs = 0;
  #taken = 0;

  /** Takes one. @param tickMs the wheel's clock. @returns false when it is one too many. */
  take(tickMs: number): boolean {
    if (tickMs !== this.#tickMs) {
      this.#tickMs = tickMs;
      this.#taken = 0;
    }
    return ++this.#taken <= MAX_PER_TICK;
  }
}
