import type { CachedIdentity, TokenCacheStore } from './cache.js';

/** A store that takes longer is taken for failed. */
const TIMEOUT_MS = 250;
/** After a failure the operation is not tried for this long: a store that hangs delays one client only. */
const PAUSE_MS = 1000;

type Operation = 'get' | 'set' | 'delete';

/**
 * Wraps a store that may fail or hang: a failure or a late answer becomes a miss. The outage is logged by the
 * owner of the store's connection.
 */
export class GuardedStore {
  readonly name: TokenCacheStore['name'];
  /** By operation: a store can read and yet refuse to write. */
  readonly #pausedUntilMs = new Map<Operation, number>();

  constructor(private readonly store: TokenCacheStore) {
    this.name = store.name;
  }

  /** Never rejects; settles within 250 ms. */
  async get(digest: string): Promise<CachedIdentity | undefined> {
    return this.#attempt('get', () => this.store.get(digest));
  }

  /** Never rejects. */
  async set(digest: string, entry: CachedIdentity): Promise<void> {
    await this.#attempt('set', () => this.store.set(digest, entry));
  }

  /** Never rejects. */
  async delete(digest: string): Promise<void> {
    await this.#attempt('delete', () => this.store.delete(digest));
  }

  async #attempt<T>(operation: Operation, work: () => Promise<T> | T): Promise<T | undefined> {
    if (performance.now() < (this.#pausedUntilMs.get(operation) ?? 0)) return undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
      });
      return await Promise.race([work(), late]);
    } catch {
      this.#pausedUntilMs.set(operation, performance.now() + PAUSE_MS);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}
