import type { RedisStore } from '../../store/redis.js';
import type { RedisPart } from '../../store/redis-rights.js';
import type { ClaimStore } from './claims.js';

const PREFIX = 'ws:used:';
const PART: RedisPart = {
  name: 'used tokens',
  needs: [
    { command: ['SET', `${PREFIX}rights`, '1', 'PX', 1, 'NX'], on: `${PREFIX}*` },
    { command: ['EXISTS', `${PREFIX}rights`], on: `${PREFIX}*` },
  ],
};

/** Claims shared through Redis: one key each, gone by its TTL. */
export class RedisClaims implements ClaimStore {
  readonly #store: RedisStore;

  constructor(store: RedisStore) {
    this.#store = store;
    store.serve(PART);
  }

  async claim(key: string, untilMs: number): Promise<boolean> {
    const ttlMs = Math.max(1, Math.ceil(untilMs - Date.now()));
    // NX: set by one of those that try at once, and by nobody else.
    const answer = await this.#store.run((redis) => redis.set(PREFIX + key, '1', 'PX', ttlMs, 'NX'));
    return answer === 'OK';
  }

  async isClaimed(key: string): Promise<boolean> {
    return (await this.#store.run((redis) => redis.exists(PREFIX + key))) > 0;
  }
}
