import { createHash } from 'node:crypto';
import { type PeerCall, serializeCall } from '../../store/agreement/peer-call.js';
import { receive } from '../../store/agreement/shared-list.js';
import type { PostgresStore } from '../../store/postgres.js';
import { expiringTable } from '../../store/postgres-table.js';
import {
  announcementOf,
  deserializeRevocation,
  type RevocationNews,
  serializeRevocation,
} from './revocation.js';
import type { RevocationReceiver, RevocationStore } from './revocation-store.js';

/** For the `tables` of the PostgresStore. `id` is the entry's SHA-256: entries may be too long to index. */
export const REVOCATIONS_TABLE = expiringTable({
  name: 'ws_revocations',
  keyColumn: 'id',
  columns: 'entry text NOT NULL',
});

const CHANNEL = 'ws_revocations';
/** A notification's payload must be shorter than 8000 bytes; a longer revocation is announced without it. */
const MAX_PAYLOAD_BYTES = 7_999;
const PAGE_ENTRIES = 1_000;

const INSERT = `INSERT INTO ws_revocations (id, entry, expires)
  SELECT id, entry, to_timestamp(seconds) FROM unnest($1::text[], $2::text[], $3::float8[]) AS told(id, entry, seconds)
  ON CONFLICT (id) DO UPDATE SET expires = greatest(ws_revocations.expires, excluded.expires)`;
/** One statement, one transaction: what is announced is on the list. */
const TELL = `WITH listed AS (${INSERT} RETURNING 1) SELECT pg_notify('${CHANNEL}', $4::text) FROM listed`;
/** What was taken back counts no more; the sweep removes it. */
const END = 'UPDATE ws_revocations SET expires = to_timestamp(0) WHERE id = ANY($1::text[])';
const LOAD = `SELECT id, entry, extract(epoch FROM expires)::float8 * 1000 AS expires_at_ms FROM ws_revocations
  WHERE expires > now() AND id > $1 ORDER BY id LIMIT ${PAGE_ENTRIES}`;

/** Revocations shared through Postgres, where there is no Redis. */
export class PostgresRevocations implements RevocationStore {
  readonly #store: PostgresStore;
  readonly #ttlMs: number;

  /** @param ttlMs how long a revocation that came by NOTIFY is remembered. */
  constructor(store: PostgresStore, ttlMs: number) {
    this.#store = store;
    this.#ttlMs = ttlMs;
  }

  get up(): boolean {
    return this.#store.up;
  }

  onChange(listener: (up: boolean) => void): void {
    this.#store.onChange(listener);
  }

  listen(receiver: RevocationReceiver): void {
    this.#store.listen(CHANNEL, {
      onMessage: (payload) => {
        if (payload === '') receiver.onGap();
        else receive(receiver, payload, (text) => deserializeRevocation(text, Date.now() + this.#ttlMs));
      },
      onSubscribed: () => receiver.onGap(),
    });
  }

  async list(revocations: readonly RevocationNews[]): Promise<void> {
    const query = { name: 'ws_revocations list', text: INSERT, values: rowsOf(revocations) };
    await this.#store.query(query, { whileDown: true });
  }

  async tell(revocation: RevocationNews): Promise<void> {
    const text = announcementOf(revocation, this.#ttlMs);
    const payload = Buffer.byteLength(text) <= MAX_PAYLOAD_BYTES ? text : '';
    const query = { name: 'ws_revocations tell', text: TELL, values: [...rowsOf([revocation]), payload] };
    await this.#store.query(query, { whileDown: true });
    if (revocation.kind !== 'lifted') return;
    const [ended] = rowsOf([{ ...revocation.of, expiresAtMs: 0 }]);
    await this.#store.query({ name: 'ws_revocations end', text: END, values: [ended] }, { whileDown: true });
  }

  call(call: PeerCall): Promise<number | undefined> {
    return this.#store.notify(CHANNEL, serializeCall(call));
  }

  async count(): Promise<number> {
    const text = 'SELECT count(*)::int AS listed FROM ws_revocations WHERE expires > now()';
    const query = { name: 'ws_revocations count', text };
    const [row] = await this.#store.query<{ listed: number }>(query, { whileDown: true });
    return row?.listed ?? 0;
  }

  async load(receiver: Pick<RevocationReceiver, 'onEntry' | 'onIgnored'>): Promise<void> {
    let after = '';
    for (;;) {
      const rows = await this.#store.query<{ id: string; entry: string; expires_at_ms: number }>(
        { name: 'ws_revocations load', text: LOAD, values: [after] },
        { whileDown: true },
      );
      for (const { id, entry, expires_at_ms } of rows) {
        after = id;
        const revocation = deserializeRevocation(entry, expires_at_ms);
        if (revocation === undefined) receiver.onIgnored();
        else receiver.onEntry(revocation);
      }
      if (rows.length < PAGE_ENTRIES) return;
    }
  }
}

/** Ids, entries and expiries in seconds, each as one array. */
function rowsOf(revocations: readonly RevocationNews[]) {
  const entries = revocations.map((revocation) => serializeRevocation(revocation));
  const ids = entries.map((entry) => createHash('sha256').update(entry).digest('hex'));
  return [ids, entries, revocations.map(({ expiresAtMs }) => expiresAtMs / 1000)];
}
