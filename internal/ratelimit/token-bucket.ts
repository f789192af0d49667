/** Part of a token by which a bucket forgives a clock that only knows whole milliseconds. */
const MAX_SLACK_TOKENS = 0.5;
/** Least forgiveness: many small refills add up to a little less than one large one. */
const MIN_SLACK_TOKENS = 1e-6;

/**
 * A token bucket: holds at most `burst` tokens, starts full, gains `perSecond` tokens a second. Synchronous,
 * allocates nothing, has no timer: what was gained is reckoned when tokens are taken.
 *
 * Times are milliseconds of a clock that need not be exact: a step backwards neither gives nor costs
 * tokens, and one forwards gives `burst` tokens at most. One millisecond's refill, half a token at
 * most, is forgiven once, so that a client at exactly
 * `perSecond` is never refused for rounding; `burst` + 1 at once always are.
 */
export class TokenBucket {
  #tokens: number;
  #lastMs: number;
  #perMs: number;
  #capacity: number;
  /** The lowest level that `take` may leave. */
  #floor: number;

  /**
   * @param perSecond tokens gained a second, ≥ 0.
   * @param burst capacity in tokens; less than 1 counts as 1, else nothing could ever pass.
   */
  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#capacity = Math.max(1, burst);
    this.#tokens = this.#capacity;
    this.#floor = -slack(this.#perMs);
    this.#lastMs = nowMs;
  }

  /** Takes `tokens` if there are as many. @returns false, and takes nothing, if there are not. */
  take(nowMs: number, tokens = 1): boolean {
    this.#refill(nowMs);
    if (this.#tokens - tokens < this.#floor) return false;
    this.#tokens -= tokens;
    return true;
  }

  /** Tokens at hand; below 0 while a debt is paid back. */
  level(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens;
  }

  /** Whether the bucket is as good as a new one, and can be forgotten. */
  isFull(nowMs: number): boolean {
    return this.level(nowMs) >= this.#capacity - MIN_SLACK_TOKENS;
  }

  /**
   * Gives the bucket another size; what it gained until now stays counted at the old rate.
   * @param capacity tokens it holds at most, ≥ 0; more than that is cut off.
   * @param creditTokens how far below 0 it may be drawn.
   * @param addTokens what it gains (or loses, if negative) at once.
   */
  protected reshape(
    nowMs: number,
    shape: { perSecond: number; capacity: number; creditTokens: number; addTokens: number },
  ): void {
    this.#refill(nowMs);
    this.#perMs = shape.perSecond / 1000;
    this.#capacity = shape.capacity;
    this.#floor = -shape.creditTokens - slack(this.#perMs);
    this.#tokens = Math.min(shape.capacity, this.#tokens + shape.addTokens);
  }

  #refill(nowMs: number): void {
    const elapsedMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (elapsedMs > 0) this.#tokens = Math.min(this.#capacity, this.#tokens + elapsedMs * this.#perMs);
  }
}

function slack(perMs: number): number {
  return Math.min(MAX_SLACK_TOKENS, Math.max(MIN_SLACK_TOKENS, perMs));
}
