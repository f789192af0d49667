import type { Log } from '../../telemetry/log/log.js';

export interface OutboxOptions<Entry> {
  /** Tells the store; rejects when it could not be told. */
  readonly tell: (entry: Entry) => Promise<void>;
  /** Entries of one key replace each other. */
  readonly keyOf: (entry: Entry) => string;
  /** Whether an entry is no longer worth telling. */
  readonly isOver: (entry: Entry) => boolean;
  /** What entries are called in the log, in the plural. */
  readonly what: string;
  readonly log: Log;
}

/** Entries kept for a store that is down; past that the oldest is given up. */
const MAX_UNSENT = 100_000;
/** Told at once after an outage. */
const BATCH = 100;

/**
 * Entries on their way to the store: sent at once, kept when that fails, sent again when the store is back.
 */
export class Outbox<Entry> {
  readonly #options: OutboxOptions<Entry>;
  readonly #unsent = new Map<string, Entry>();
  /** Of each key the newest that is on its way for the first time. */
  readonly #newest = new Map<string, Entry>();
  #flushing: Promise<void> | undefined;

  constructor(options: OutboxOptions<Entry>) {
    this.#options = options;
  }

  get size(): number {
    return this.#unsent.size;
  }

  /** Resolves to whether the store was told now. */
  async send(entry: Entry): Promise<boolean> {
    const { tell, keyOf } = this.#options;
    const key = keyOf(entry);
    // What it replaces must not be told after it: whoever heard that last would go by it.
    this.#unsent.delete(key);
    this.#newest.set(key, entry);
    try {
      await tell(entry);
      return true;
    } catch {
      if (this.#newest.get(key) === entry) this.#keep(key, entry);
      return false;
    } finally {
      if (this.#newest.get(key) === entry) this.#newest.delete(key);
    }
  }

  /** Sends the store what is left, until it fails again. Never rejects. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    let working = true;
    while (working && this.#unsent.size > 0) {
      const batch: Promise<boolean>[] = [];
      for (const [key, entry] of this.#unsent) {
        batch.push(this.#tellAgain(key, entry));
        if (batch.length === BATCH) break;
      }
      working = (await Promise.all(batch)).every(Boolean);
    }
  }

  async #tellAgain(key: string, entry: Entry): Promise<boolean> {
    const { tell, isOver } = this.#options;
    if (!isOver(entry)) {
      try {
        await tell(entry);
      } catch {
        return false;
      }
    }
    // Unless it was renewed meanwhile.
    if (this.#unsent.get(key) === entry) this.#unsent.delete(key);
    return true;
  }

  #keep(key: string, entry: Entry): void {
    const { what, log } = this.#options;
    const [oldest] = this.#unsent.keys();
    if (oldest !== undefined && this.#unsent.size >= MAX_UNSENT && !this.#unsent.has(key)) {
      this.#unsent.delete(oldest);
      log.error({ kept: MAX_UNSENT }, `too many ${what} wait for the store: the oldest was given up`);
    }
    this.#unsent.set(key, entry);
  }
}
