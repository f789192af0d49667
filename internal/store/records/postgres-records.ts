import { type PeerCall, serializeCall } from '../agreement/peer-call.js';
import { type Receiver, receive } from '../agreement/shared-list.js';
import type { PostgresStore } from '../postgres.js';
import { expiringTable, type PostgresTable } from '../postgres-table.js';
import { deserializeRecord, type SharedRecord, serializeRecord } from './record.js';
import type { RecordList } from './shared-records.js';

/** A column for people who read the table; `entry` is what counts. All text here is constant. */
export interface ReadableColumn {
  readonly name: string;
  readonly type: 'text' | 'timestamptz' | 'float8';
  /** From a record's value; null: none. A timestamp is RFC 3339. */
  readonly of: (value: unknown) => string | number | null;
}

export interface RecordTable {
  readonly name: string;
  readonly columns: readonly ReadableColumn[];
}

type Row = { readonly id: string; readonly entry: string };

/** A notification's payload must be shorter than 8000 bytes; a longer record is announced without it. */
const MAX_PAYLOAD_BYTES = 7_999;
const PAGE_ENTRIES = 1_000;

/** For the `tables` of the PostgresStore. */
export function postgresTableOf({ name, columns }: RecordTable): PostgresTable {
  const readable = columns.map((column) => `, ${column.name} ${column.type}`).join('');
  return expiringTable({
    name,
    keyColumn: 'id',
    columns: `version int8 NOT NULL, entry text NOT NULL${readable}`,
  });
}

/** Records shared through a table of Postgres, where there is no Redis. */
export class PostgresRecords implements RecordList {
  readonly #store: PostgresStore;
  readonly #table: RecordTable;
  readonly #channel: string;
  readonly #insert: string;

  constructor(store: PostgresStore, table: RecordTable) {
    this.#store = store;
    this.#table = table;
    this.#channel = `ws_${table.name}`;
    this.#insert = insertInto(table);
  }

  get up(): boolean {
    return this.#store.up;
  }

  onChange(listener: (up: boolean) => void): void {
    this.#store.onChange(listener);
  }

  listen(receiver: Receiver<SharedRecord<unknown>>): void {
    this.#store.listen(this.#channel, {
      onMessage: (payload) => {
        if (payload === '') receiver.onGap();
        else receive(receiver, payload, deserializeRecord);
      },
      onSubscribed: () => receiver.onGap(),
    });
  }

  async list(records: readonly SharedRecord<unknown>[]): Promise<void> {
    await this.#store.query(
      { name: `${this.#table.name} list`, text: this.#insert, values: this.#rowsOf(records) },
      { whileDown: true },
    );
  }

  async tell(record: SharedRecord<unknown>): Promise<void> {
    const entry = serializeRecord(record);
    const values = this.#rowsOf([record]);
    // One statement, one transaction: what is announced is in the table.
    const text = `WITH listed AS (${this.#insert} RETURNING 1)
      SELECT pg_notify('${this.#channel}', $${values.length + 1}::text) FROM listed`;
    const payload = Buffer.byteLength(entry) <= MAX_PAYLOAD_BYTES ? entry : '';
    await this.#store.query(
      { name: `${this.#table.name} tell`, text, values: [...values, payload] },
      { whileDown: true },
    );
  }

  call(call: PeerCall): Promise<number | undefined> {
    return this.#store.notify(this.#channel, serializeCall(call));
  }

  async load(receiver: Pick<Receiver<SharedRecord<unknown>>, 'onEntry' | 'onIgnored'>): Promise<void> {
    const { name } = this.#table;
    const text = `SELECT id, entry FROM ${name} WHERE expires > now() AND ($1::text IS NULL OR id > $1)
      ORDER BY id LIMIT ${PAGE_ENTRIES}`;
    // Not '': that is a key, too.
    let after: string | null = null;
    for (;;) {
      const rows: Row[] = await this.#store.query<Row>(
        { name: `${name} load`, text, values: [after] },
        { whileDown: true },
      );
      for (const { id, entry } of rows) {
        after = id;
        const record = deserializeRecord(entry);
        if (record === undefined) receiver.onIgnored();
        else receiver.onEntry(record);
      }
      if (rows.length < PAGE_ENTRIES) return;
    }
  }

  /** Each column as one array. */
  #rowsOf(records: readonly SharedRecord<unknown>[]) {
    return [
      records.map(({ key }) => storable(key)),
      records.map(({ version }) => version),
      records.map(serializeRecord),
      records.map(({ forgottenMs }) =>
        Number.isFinite(forgottenMs) ? new Date(forgottenMs).toISOString() : 'infinity',
      ),
      ...this.#table.columns.map(({ of }) =>
        records.map(({ value }) => {
          const cell = of(value);
          return typeof cell === 'string' ? storable(cell) : cell;
        }),
      ),
    ];
  }
}

function insertInto({ name, columns }: RecordTable): string {
  const all = [
    { name: 'id', type: 'text' },
    { name: 'version', type: 'int8' },
    { name: 'entry', type: 'text' },
    { name: 'expires', type: 'timestamptz' },
    ...columns,
  ];
  const names = all.map((column) => column.name).join(', ');
  const arrays = all.map(({ type }, i) => `$${i + 1}::${type}[]`).join(', ');
  const changes = all.slice(1).map((column) => `${column.name} = excluded.${column.name}`);
  return `INSERT INTO ${name} (${names}) SELECT * FROM unnest(${arrays})
    ON CONFLICT (id) DO UPDATE SET ${changes.join(', ')} WHERE ${name}.version < excluded.version`;
}

/** Postgres takes no NUL in a text; what really stood there is in `entry`, as JSON. */
function storable(text: string): string {
  return text.replaceAll('\0', '\u{fffd}');
}
