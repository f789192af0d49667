import { GatewayError } from '../../errors.js';
import type { RedisStore } from '../../store/redis.js';
import type { CachedIdentity, TokenCacheStore } from './cache.js';
import { deserializeEntry, MAX_ENTRY_BYTES, serializeEntry } from './serialized-entry.js';

/** The store's word for a key that holds a list, a hash or the like. */
const WRONG_TYPE = 'redis: WRONGTYPE';

/** Verified tokens shared through Redis: one key per digest, gone by its TTL. */
export class RedisTokenCache implements TokenCacheStore {
  readonly name = 'redis';
  readonly #store: RedisStore;
  readonly #prefix: string;

  /** @param prefix JWT_CACHE_PREFIX, put before every digest. */
  constructor(store: RedisStore, prefix: string) {
    this.#store = store;
    this.#prefix = prefix;
  }

  /** @throws GatewayError ERR_STORE */
  async get(digest: string): Promise<CachedIdentity | undefined> {
    const key = this.#prefix + digest;
    try {
      // GETRANGE: what someone else put under the key is not read into memory whole.
      const text = await this.#store.run((redis) => redis.getrange(key, 0, MAX_ENTRY_BYTES - 1));
      return text === '' ? undefined : deserializeEntry(text);
    } catch (thrown) {
      // One poisoned key does not make the store a failed one.
      if (thrown instanceof GatewayError && thrown.message === WRONG_TYPE) return undefined;
      throw thrown;
    }
  }

  /** @throws GatewayError ERR_STORE */
  async set(digest: string, entry: CachedIdentity): Promise<void> {
    const text = serializeEntry(entry);
    const ttlMs = Math.floor(entry.expiresAtMs - Date.now());
    if (text === undefined || ttlMs <= 0) return;
    await this.#store.run((redis) => redis.set(this.#prefix + digest, text, 'PX', ttlMs));
  }

  /** @throws GatewayError ERR_STORE */
  async delete(digest: string): Promise<void> {
    await this.#store.run((redis) => redis.del(this.#prefix + digest));
  }
}
