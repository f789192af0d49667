import type { Log } from '../../telemetry/log.js';
import { type Revocation, serializeRevocation } from './revocation.js';
import type { RevocationStore } from './revocation-store.js';

/** Revocations kept for a store that is down; past that the oldest is given up. */
const MAX_UNSENT = 100_000;
/** Told at once after an outage. */
const BATCH = 100;

/** What the store has yet to be told: tried at once, kept when that fails, sent when the store is back. */
export class Outbox {
  readonly #store: RevocationStore;
  readonly #log: Log;
  readonly #unsent = new Map<string, Revocation>();
  #flushing: Promise<void> | undefined;

  constructor(store: RevocationStore, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  get size(): number {
    return this.#unsent.size;
  }

  /** Resolves to whether the store was told now. */
  async send(revocation: Revocation): Promise<boolean> {
    const key = serializeRevocation(revocation);
    try {
      await this.#store.tell(revocation);
      return true;
    } catch {
      this.#keep(key, revocation);
      return false;
    }
  }

  /** Tells the store what is left, until it fails again. Never rejects. */
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
      for (const [key, revocation] of this.#unsent) {
        batch.push(this.#tellAgain(key, revocation));
        if (batch.length === BATCH) break;
      }
      working = (await Promise.all(batch)).every(Boolean);
    }
  }

  async #tellAgain(key: string, revocation: Revocation): Promise<boolean> {
    if (revocation.expiresAtMs > Date.now()) {
      try {
        await this.#store.tell(revocation);
      } catch {
        return false;
      }
    }
    // Unless it was renewed meanwhile.
    if (this.#unsent.get(key) === revocation) this.#unsent.delete(key);
    return true;
  }

  #keep(key: string, revocation: Revocation): void {
    const [oldest] = this.#unsent.keys();
    if (oldest !== undefined && this.#unsent.size >= MAX_UNSENT && !this.#unsent.has(key)) {
      this.#unsent.delete(oldest);
      this.#log.error(
        { kept: MAX_UNSENT },
        'too many revocations wait for the store: the oldest was given up',
      );
    }
    this.#unsent.set(key, revocation);
  }
}
