import type { PostgresStore } from '../../store/postgres.js';
import { expiringTable } from '../../store/postgres-table.js';
import type { CachedIdentity, TokenCacheStore } from './cache.js';
import { type EntrySeal, MAX_ENTRY_BYTES } from './sealed-entry.js';

/**
 * For the `tables` of the PostgresStore. `value` is JSON as text: jsonb refuses a NUL or a
 * lone surrogate in a claim.
 */
export const JWT_CACHE_TABLE = expiringTable({
  name: 'jwt_cache',
  keyColumn: 'key',
  columns: 'value text NOT NULL',
});

const SELECT = `SELECT value::text AS value FROM jwt_cache
  WHERE key = $1 AND expires > now() AND octet_length(value::text) <= ${MAX_ENTRY_BYTES}`;
const UPSERT = `INSERT INTO jwt_cache (key, value, expires) VALUES ($1, $2, to_timestamp($3::float8))
  ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires`;
const DELETE = 'DELETE FROM jwt_cache WHERE key = $1';

/** Verified tokens shared through Postgres: one row per digest, purged by the store once expired. */
export class PostgresTokenCache implements TokenCacheStore {
  readonly name = 'postgres';
  readonly #store: PostgresStore;
  readonly #prefix: string;
  readonly #seal: EntrySeal;

  /** @param prefix JWT_CACHE_PREFIX, put before every digest. */
  constructor(store: PostgresStore, prefix: string, seal: EntrySeal) {
    this.#store = store;
    this.#prefix = prefix;
    this.#seal = seal;
  }

  /** @throws GatewayError ERR_STORE */
  async get(digest: string): Promise<CachedIdentity | undefined> {
    const [row] = await this.#store.query<{ value: string }>({
      name: 'jwt_cache get',
      text: SELECT,
      values: [this.#prefix + digest],
    });
    return row === undefined ? undefined : this.#seal.open(digest, row.value);
  }

  /** @throws GatewayError ERR_STORE */
  async set(digest: string, entry: CachedIdentity): Promise<void> {
    const text = this.#seal.seal(digest, entry);
    if (text === undefined) return;
    await this.#store.query({
      name: 'jwt_cache set',
      text: UPSERT,
      values: [this.#prefix + digest, text, entry.expiresAtMs / 1000],
    });
  }

  /** @throws GatewayError ERR_STORE */
  async delete(digest: string): Promise<void> {
    await this.#store.query({ name: 'jwt_cache delete', text: DELETE, values: [this.#prefix + digest] });
  }
}
