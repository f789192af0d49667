import type { PostgresStore } from '../../store/postgres.js';
import { expiringTable } from '../../store/postgres-table.js';
import type { ClaimStore } from './claims.js';

/** For the `tables` of the PostgresStore. */
export const CLAIMS_TABLE = expiringTable({
  name: 'ws_used',
  keyColumn: 'id',
  columns: 'claimed timestamptz NOT NULL DEFAULT now()',
});

/**
 * One statement: of those that try at once one inserts, the others find its row and, as
 * long as it lasts, leave it. How long that is counts on the database's clock alone: to one that is ahead of
 * the gateway's a moment of ours would have passed before the token's end.
 */
const CLAIM = `INSERT INTO ws_used (id, expires) VALUES ($1, now() + $2::float8 * interval '1 millisecond')
  ON CONFLICT (id) DO UPDATE SET expires = excluded.expires, claimed = now() WHERE ws_used.expires <= now()
  RETURNING 1 AS won`;

/** Claims shared through Postgres, where there is no Redis. */
export class PostgresClaims implements ClaimStore {
  readonly #store: PostgresStore;

  /** @param now milliseconds since the epoch, by the clock that tokens are judged by. */
  constructor(
    store: PostgresStore,
    private readonly now: () => number = Date.now,
  ) {
    this.#store = store;
  }

  async claim(key: string, untilMs: number): Promise<boolean> {
    const rows = await this.#store.query<{ won: number }>({
      name: 'ws_used claim',
      text: CLAIM,
      values: [key, Math.max(1, untilMs - this.now())],
    });
    return rows.length > 0;
  }

  async isClaimed(key: string): Promise<boolean> {
    const text = 'SELECT 1 AS claimed FROM ws_used WHERE id = $1 AND expires > now()';
    const rows = await this.#store.query<{ claimed: number }>({ name: 'ws_used look', text, values: [key] });
    return rows.length > 0;
  }
}
