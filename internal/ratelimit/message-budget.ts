import type { DenseSetMember } from '../collections/dense-set.js';
import { type LimitedClient, limitNamed } from './bucket-key.js';
import type { TokenBucket } from './token-bucket.js';

/** The route of a client, with its own limit on messages if it has one. */
export interface RouteLimit {
  /** The route's prefix: own buckets are apart from the global ones and from other routes'. */
  readonly scope: string;
  /** undefined: none of its own; likewise below. */
  readonly perSecond?: number;
  readonly burst?: number;
}

/** A bucket that other processes draw on, too. */
export interface SharedBucket extends TokenBucket {
  /** The bucket is in use from now on. */
  join(): void;
  /** The bucket is not in use any more: its share of the budget is given back. */
  leave(): void;
  /** Resolves when the shared budget has answered, or clearly will not; undefined: it has. */
  readonly ready: Promise<void> | undefined;
}

/** A bucket in use by `sessions` sessions. */
export class Entry {
  sessions = 0;
  constructor(
    readonly key: string,
    readonly bucket: TokenBucket,
    readonly shared: SharedBucket | undefined,
  ) {}
}

/** The buckets that a budget draws on; undefined: no limit. */
export interface BudgetEntries {
  readonly messages: Entry | undefined;
  readonly bytes: Entry | undefined;
}

/** The message and byte budget of one session. */
export class MessageBudget implements DenseSetMember {
  denseIndex = -1;
  #entries: BudgetEntries;
  #messageBucket: TokenBucket | undefined;
  #byteBucket: TokenBucket | undefined;
  readonly #now: () => number;
  readonly #onRelease: (entries: BudgetEntries, budget?: MessageBudget) => void;
  #released: boolean = false;
  #exceeded: Entry | undefined;

  /**
   * @param onRelease told of entries that are not used any more, and with the last ones that
   *   the budget is not either.
   */
  constructor(
    readonly client: LimitedClient,
    readonly route: RouteLimit | undefined,
    entries: BudgetEntries,
    now: () => number,
    onRelease: (entries: BudgetEntries, budget?: MessageBudget) => void,
  ) {
    this.#entries = entries;
    this.#messageBucket = entries.messages?.bucket;
    this.#byteBucket = entries.bytes?.bucket;
    this.#now = now;
    this.#onRelease = onRelease;
  }

  /** Draws on other entries from now on, which may be the same. Not to be called after `release`. */
  exchange(entries: BudgetEntries): void {
    const former = this.#entries;
    this.#entries = entries;
    this.#messageBucket = entries.messages?.bucket;
    this.#byteBucket = entries.bytes?.bucket;
    this.#onRelease(former);
  }

  /**
   * Resolves when other processes' use of the budget is known, or Redis did not say in time (a
   * quarter of a second or so); undefined when there is nothing to wait for. Before, one lease
   * can be spent. Never rejects.
   */
  get ready(): Promise<unknown> | undefined {
    const shared = [this.#entries.messages?.shared?.ready, this.#entries.bytes?.shared?.ready];
    return shared.some((ready) => ready !== undefined) ? Promise.all(shared) : undefined;
  }

  /**
   * Takes tokens for messages (default: one) and for bytes of payload.
   * @returns false when there are too few: the messages must not be forwarded.
   */
  take(payloadBytes: number, messages = 1): boolean {
    if (this.#messageBucket === undefined && this.#byteBucket === undefined) return true;
    const nowMs = this.#now();
    const bucket = messages === 0 ? undefined : this.#messageBucket;
    if (bucket !== undefined && !bucket.take(nowMs, messages)) {
      this.#exceeded = this.#entries.messages;
      return false;
    }
    if (this.#byteBucket === undefined || this.#byteBucket.take(nowMs, payloadBytes)) return true;
    this.#exceeded = this.#entries.bytes;
    return false;
  }

  /** As `take`, for several messages: takes tokens for all of them or, if false, for none. */
  takeAll(payloadBytes: number, messages: number): boolean {
    // What one bucket gave could not go back when the other one has too little: each by itself, then.
    if (this.#messageBucket !== undefined && this.#byteBucket !== undefined) return false;
    return this.take(payloadBytes, messages);
  }

  /** For the log: the limit that was exceeded last, and whose bucket it was; undefined: none. */
  get exceeded(): string | undefined {
    return this.#exceeded && limitNamed(this.#exceeded.key);
  }

  /** The session has ended; further calls do nothing. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#onRelease(this.#entries, this);
  }
}
