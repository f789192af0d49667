import { oldestBeyond, SweepCursor } from '../collections/eviction.js';
import type { RequestLimit } from '../config/config.js';
import { TokenBucket } from './token-bucket.js';

/** Counts requests by what names their bucket. */
export interface RequestCounter {
  /**
   * Counts one request.
   * @returns undefined if it may pass, else milliseconds until the next one may.
   */
  take(key: string, limit: RequestLimit): Promise<number | undefined>;
}

export interface RequestBucketsOptions {
  /** Buckets remembered at most, default 100,000; the first to come are first forgotten. */
  readonly maxClients?: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** Buckets that each new one looks at: more than one, so that full ones do not pile up. */
const SWEEP = 2;

/** Counts requests in the memory of one process. */
export class RequestBuckets {
  readonly #maxClients: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #sweepCursor = new SweepCursor(this.#buckets);

  constructor({ maxClients = 100_000, now = () => performance.now() }: RequestBucketsOptions = {}) {
    this.#maxClients = maxClients;
    this.#now = now;
  }

  /** Buckets remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** See `RequestCounter`. */
  take(key: string, limit: RequestLimit): number | undefined {
    const nowMs = this.#now();
    const perMs = limit.burst / windowOf(limit);
    const name = `${key} ${perMs} ${limit.burst}`;
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      bucket = new TokenBucket(perMs * 1_000, limit.burst, nowMs);
      this.#forgetSome(nowMs);
      this.#buckets.set(name, bucket);
      for (const oldest of oldestBeyond(this.#buckets, this.#maxClients)) this.#buckets.delete(oldest);
    }
    if (bucket.take(nowMs)) return undefined;
    return Math.max(1, Math.ceil((1 - bucket.level(nowMs)) / perMs));
  }

  /** Full buckets say no more than new ones. */
  #forgetSome(nowMs: number): void {
    for (const [name, bucket] of this.#sweepCursor.next(SWEEP))
      if (bucket.isFull(nowMs)) this.#buckets.delete(name);
  }
}

/** Milliseconds in which an empty bucket fills up. */
export function windowOf({ requests, perMs, burst }: RequestLimit): number {
  return (burst * perMs) / requests;
}
