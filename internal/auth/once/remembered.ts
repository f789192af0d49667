import { oldestBeyond, SweepCursor } from '../../collections/eviction.js';
import { patientTime } from '../../runtime/patient-time.js';
import type { ClaimStore } from './claims.js';

/** Whether a store can be asked. */
interface Reachable {
  /** Calls `listener` now and whenever the store goes or comes back. */
  onChange(listener: (up: boolean) => void): void;
}

/** Claims remembered at most, about 20 MB; past that only the store has the first ones. */
const MOST = 100_000;
/** Earlier claims that each new one looks at: more than one, so that they do not pile up. */
const SWEEP = 2;
/** Claims put back at once. */
const BATCH = 100;

/**
 * Claims kept by a store that can lose them (a restart without a disk, a failover): each process remembers
 * those that it has made, or found made, and puts them back when the store comes back. Nor is the store asked
 * again about what is known to be used up, however many come with it.
 */
export class RememberedClaims implements ClaimStore {
  /** Until when, by key. */
  readonly #known = new Map<string, number>();
  readonly #sweepCursor = new SweepCursor(this.#known);
  readonly #now = patientTime();
  readonly #store: ClaimStore;
  /** Times that the store came back. */
  #returns = 0;

  constructor(store: ClaimStore, reachable: Reachable) {
    this.#store = store;
    reachable.onChange((up) => {
      if (up) void this.#putBack(++this.#returns);
    });
  }

  async claim(key: string, untilMs: number): Promise<boolean> {
    if (this.#isKnown(key)) return false;
    const won = await this.#store.claim(key, untilMs);
    this.#remember(key, untilMs);
    return won;
  }

  async isClaimed(key: string): Promise<boolean> {
    return this.#isKnown(key) || this.#store.isClaimed(key);
  }

  #isKnown(key: string): boolean {
    return (this.#known.get(key) ?? 0) > this.#now();
  }

  #remember(key: string, untilMs: number): void {
    const nowMs = this.#now();
    for (const [earlier, endMs] of this.#sweepCursor.next(SWEEP))
      if (endMs <= nowMs) this.#known.delete(earlier);
    this.#known.set(key, untilMs);
    for (const oldest of oldestBeyond(this.#known, MOST)) this.#known.delete(oldest);
  }

  /** Never rejects: a store that fails meanwhile will come back once more. */
  async #putBack(time: number): Promise<void> {
    let batch: Promise<boolean>[] = [];
    for (const [key, untilMs] of this.#known) {
      if (untilMs > this.#now()) batch.push(this.#store.claim(key, untilMs));
      if (batch.length < BATCH) continue;
      const told = await Promise.allSettled(batch);
      if (time !== this.#returns || told.some(({ status }) => status === 'rejected')) return;
      batch = [];
    }
    await Promise.allSettled(batch);
  }
}
