import { GatewayError } from '../../errors.js';
import type { RedisStore } from '../../store/redis.js';
import type { CachedIdentity, TokenCacheStore } from './cache.js';
import { type EntrySeal, MAX_ENTRY_BYTES } from './sealed-entry.js';

/** The store's word for a key that holds a list, a hash or the like. */
const WRONG_TYPE = 'redis: WRONGTYPE';

/** Verified tokens shared through Redis: one key per digest, gone by its TTL. */
export class RedisTokenCache implements TokenCacheStore {
  readonly name = 'redis';
  readonly #store: RedisStore;
  readonly #prefix: string;
  readonly #seal: EntrySeal;

  /** @param prefix JWT_CACHE_PREFIX, put before every digest. */
  constructor(store: RedisStore, prefix: string, seal: EntrySeal) {
    this.#store = store;
    this.#prefix = prefix;
    this.#seal = seal;
    const key = `${prefix}rights`;
    store.serve({
      name: 'token cache',
      needs: [
        { command: ['GETRANGE', key, 0, 0], on: `${prefix}*` },
        { command: ['SET', key, '', 'PX', 1], on: `${prefix}*` },
        { command: ['DEL', key], on: `${prefix}*` },
      ],
    });
  }

  /** @throws GatewayError ERR_STORE */
  async get(digest: string): Promise<CachedIdentity | undefined> {
    const key = this.#prefix + digest;
    try {
      // GETRANGE: what someone else put under the key is not read into memory whole.
      const text = await this.#store.run((redis) => redis.getrange(key, 0, MAX_ENTRY_BYTES - 1));
      return text === '' ? undefined : this.#seal.open(digest, text);
    } catch (thrown) {
      // One poisoned key does not make the store a failed one.
      if (thrown instanceof GatewayError && thrown.message === WRONG_TYPE) return undefined;
      throw thrown;
    }
  }

  /** @throws GatewayError ERR_STORE */
  async set(digest: string, entry: CachedIdentity): Promise<void> {
    const text = this.#seal.seal(digest, entry);
    const ttlMs = Math.floor(entry.expiresAtMs - Date.now());
    if (text === undefined || ttlMs <= 0) return;
    await this.#store.run((redis) => redis.set(this.#prefix + digest, text, 'PX', ttlMs));
  }

  /** @throws GatewayError ERR_STORE */
  async delete(digest: string): Promise<void> {
    await this.#store.run((redis) => redis.del(this.#prefix + digest));
  }
}
