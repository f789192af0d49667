import type { PostgresStore } from '../../store/postgres.js';
import { expiringTable } from '../../store/postgres-table.js';
import { LEASE_MS, type SlotStore } from './slot-store.js';

/**
 * For the `tables` of the PostgresStore. `holders`: who has a place, and the second of the
 * epoch at which its lease ends.
 */
export const TOKEN_SLOTS_TABLE = expiringTable({
  name: 'ws_token_slots',
  keyColumn: 'token',
  columns: "holders jsonb NOT NULL DEFAULT '{}'",
});

/** Those whose lease has not ended. */
const LIVE = `(SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(ws_token_slots.holders)
  WHERE value::text::float8 > extract(epoch FROM now()))`;
const ENDS = 'extract(epoch FROM now()) + $3::float8';

/** One statement: those that try at once wait for the row, and each finds what the one before left. */
const TAKE = `INSERT INTO ws_token_slots (token, holders, expires)
  VALUES ($1, jsonb_build_object($2::text, ${ENDS}), to_timestamp(${ENDS}))
  ON CONFLICT (token) DO UPDATE SET holders = ${LIVE} || excluded.holders, expires = excluded.expires
  WHERE (SELECT count(*) FROM jsonb_object_keys(${LIVE} - $2::text)) < $4::int
  RETURNING 1 AS taken`;

/** Keys, and beside each a JSON list of its holders. */
const RENEW = `INSERT INTO ws_token_slots (token, holders, expires)
  SELECT token, (SELECT jsonb_object_agg(holder, ${ENDS}) FROM jsonb_array_elements_text(list::jsonb) AS holder),
    to_timestamp(${ENDS}) FROM unnest($1::text[], $2::text[]) AS held (token, list)
  ON CONFLICT (token) DO UPDATE SET holders = ${LIVE} || excluded.holders, expires = excluded.expires`;

const LEAVE = 'UPDATE ws_token_slots SET holders = holders - $2::text WHERE token = $1';

/** Keys renewed by one statement. */
const BATCH = 500;

/** Places shared through Postgres, where there is no Redis: a row for each key, purged with its leases. */
export class PostgresSlots implements SlotStore {
  constructor(readonly store: PostgresStore) {}

  onChange(listener: (up: boolean) => void): void {
    this.store.onChange(listener);
  }

  async take(key: string, holder: string, limit: number): Promise<boolean> {
    const values = [key, holder, LEASE_MS / 1000, limit];
    const rows = await this.store.query<{ taken: number }>({
      name: 'ws_token_slots take',
      text: TAKE,
      values,
    });
    return rows.length > 0;
  }

  async renew(held: ReadonlyMap<string, ReadonlySet<string>>): Promise<void> {
    // In one order: two processes that renew the same keys must not wait for each other.
    const all = [...held].sort(([one], [other]) => (one < other ? -1 : 1));
    let failure: unknown;
    for (let at = 0; at < all.length; at += BATCH) {
      // While the batches before it were sent, the last holder of a key may have left.
      const batch = all.slice(at, at + BATCH).filter(([, holders]) => holders.size > 0);
      const keys = batch.map(([key]) => key);
      const lists = batch.map(([, holders]) => JSON.stringify([...holders]));
      const values = [keys, lists, LEASE_MS / 1000];
      await this.store
        .query({ name: 'ws_token_slots renew', text: RENEW, values })
        .catch((thrown: unknown) => {
          failure ??= thrown;
        });
    }
    if (failure !== undefined) throw failure;
  }

  async leave(key: string, holder: string): Promise<void> {
    await this.store.query({ name: 'ws_token_slots leave', text: LEAVE, values: [key, holder] });
  }
}
