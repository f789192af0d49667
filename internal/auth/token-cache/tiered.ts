import type { Metrics } from '../../telemetry/metrics/metrics.js';
import type { Revocation } from '../revocations/revocation.js';
import { type CachedIdentity, MAX_CACHE_LIFETIME_MS, type TokenCacheStore } from './cache.js';
import { GuardedStore } from './guarded.js';
import type { MemoryTokenCache } from './memory.js';

/** How much further ahead another replica's clock may be before its entries are taken for poisoned. */
const CLOCK_TOLERANCE_MS = 60_000;

/**
 * The token cache of a process: memory in front, a shared store behind it, if any. It never fails because the
 * store fails, and writes never keep a client waiting.
 */
export class TieredTokenCache {
  readonly #store: GuardedStore | undefined;

  /** @param now milliseconds since the epoch. */
  constructor(
    private readonly memory: MemoryTokenCache,
    store: TokenCacheStore | undefined,
    private readonly metrics: Pick<Metrics, 'auth'>,
    private readonly now: () => number = Date.now,
  ) {
    this.#store = store === undefined ? undefined : new GuardedStore(store);
  }

  /**
   * What this process knows: an entry that has not expired. Whether its key is still in use
   * is for the caller to see.
   */
  near(digest: string): CachedIdentity | undefined {
    const near = this.memory.get(digest);
    this.#count('memory', near);
    return near;
  }

  /**
   * What the store knows, likewise. Others can write there: what is believed of it is
   * for the caller to `keep`.
   */
  async far(digest: string): Promise<CachedIdentity | undefined> {
    if (this.#store === undefined) return undefined;
    const far = this.#plausible(await this.#store.get(digest));
    this.#count(this.#store.name, far);
    return far;
  }

  /** Puts an entry of the store into this process' memory. */
  keep(digest: string, entry: CachedIdentity): void {
    this.memory.set(digest, entry);
  }

  set(digest: string, entry: CachedIdentity): void {
    this.memory.set(digest, entry);
    void this.#store?.set(digest, entry);
  }

  /** Entries of revoked tokens go; those that only other processes know, they drop on hearing of it. */
  forget(revocation: Revocation): void {
    for (const digest of this.memory.forget(revocation)) void this.#store?.delete(digest);
  }

  #plausible(entry: CachedIdentity | undefined): CachedIdentity | undefined {
    if (entry === undefined) return undefined;
    const leftMs = entry.expiresAtMs - this.now();
    return leftMs > 0 && leftMs <= MAX_CACHE_LIFETIME_MS + CLOCK_TOLERANCE_MS ? entry : undefined;
  }

  #count(store: TokenCacheStore['name'], entry: CachedIdentity | undefined): void {
    this.metrics.auth.tokenCache.inc({ store, result: entry === undefined ? 'miss' : 'hit' });
  }
}
