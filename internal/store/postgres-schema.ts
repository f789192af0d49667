import type { ClientBase, Pool, PoolClient } from 'pg';
import { fromUnknown, GatewayError } from '../errors.js';
import { INSUFFICIENT_PRIVILEGE, postgresFailure } from './postgres-failure.js';
import type { PostgresTable } from './postgres-table.js';

/**
 * Which version each table is at. A table without a row was made by hand, or before there
 * were versions: the first.
 */
const VERSIONS = 'ws_gateway_schema';
/** Needed on each table. */
const RIGHTS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];
/** Serialises the migrations of processes that start together ("ws-gw" in ASCII). */
const MIGRATION_LOCK = 0x77_73_2d_67_77;
/** One migration may build an index over a large table; meanwhile the store counts as down. */
const MIGRATION_TIMEOUT_MS = 60_000;

/** Brings the tables of this process into being and up to date. */
export class PostgresSchema {
  readonly #tables: readonly PostgresTable[];
  /** Tables found at a later version than this release knows, each told of once. */
  readonly #newer = new Set<string>();

  constructor(tables: readonly PostgresTable[]) {
    this.#tables = tables;
  }

  /**
   * Makes what tables are missing, and migrates those that are behind. Asks for no right beyond reading as
   * long as there is nothing to do.
   * @returns names of tables that a later release has migrated, each time only those not yet returned.
   */
  async bringUpToDate(pool: Pool): Promise<readonly string[]> {
    if (this.#tables.length === 0) return [];
    const versions = await this.#versions(pool);
    if (this.#tables.some((table) => isBehind(table, versions))) await this.#migrate(pool);
    const newer = this.#tables
      .filter(({ name, migrations }) => (versions.get(name) ?? 0) > migrations.length)
      .map(({ name }) => name)
      .filter((name) => !this.#newer.has(name));
    for (const name of newer) this.#newer.add(name);
    return newer;
  }

  /** The rights on its tables that this user lacks, as log lines name them: `UPDATE on jwt_cache`. */
  async missingRights(pool: Pool): Promise<readonly string[]> {
    const { rows } = await pool.query<{ missing: string }>(
      `SELECT privilege || ' on ' || name AS missing FROM unnest($1::text[]) AS name, unnest($2::text[]) AS privilege
       WHERE NOT has_table_privilege(name, privilege)`,
      [this.#tables.map(({ name }) => name), RIGHTS],
    );
    return rows.map(({ missing }) => missing);
  }

  /** The versions of the tables that are there. */
  async #versions(client: Pool | ClientBase): Promise<ReadonlyMap<string, number>> {
    const { rows } = await client.query<{ name: string }>(
      'SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL',
      [[VERSIONS, ...this.#tables.map(({ name }) => name)]],
    );
    const present = new Set(rows.map(({ name }) => name));
    const recorded = present.has(VERSIONS)
      ? (await client.query<{ name: string; version: number }>(`SELECT name, version FROM ${VERSIONS}`)).rows
      : [];
    // What is recorded of a table that was dropped counts for nothing.
    const versions = new Map([...present].map((name) => [name, 1]));
    for (const { name, version } of recorded) if (present.has(name)) versions.set(name, version);
    return versions;
  }

  /** All or nothing. */
  async #migrate(pool: Pool): Promise<void> {
    const client = await pool.connect();
    let failure: Error | undefined;
    try {
      await client.query('BEGIN');
      await client.query(`SET LOCAL statement_timeout = ${MIGRATION_TIMEOUT_MS}`);
      await patiently(client, `SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
      await patiently(
        client,
        `CREATE TABLE IF NOT EXISTS ${VERSIONS} (name text PRIMARY KEY, version integer NOT NULL)`,
      );
      // Once more, now that nobody else migrates.
      const versions = await this.#versions(client);
      for (const table of this.#tables) await migrate(client, table, versions.get(table.name) ?? 0);
      await client.query('COMMIT');
    } catch (thrown) {
      failure = fromUnknown(thrown);
      if (postgresFailure(thrown) === INSUFFICIENT_PRIVILEGE)
        throw new GatewayError('ERR_STORE', 'this user may not make or change tables (42501)');
      throw thrown;
    } finally {
      // A client that is released with a failure is closed, which rolls back what it has begun.
      client.release(failure);
    }
  }
}

function isBehind({ name, migrations }: PostgresTable, versions: ReadonlyMap<string, number>): boolean {
  return (versions.get(name) ?? 0) < migrations.length;
}

async function migrate(
  client: PoolClient,
  { name, migrations }: PostgresTable,
  version: number,
): Promise<void> {
  if (version >= migrations.length) return;
  for (const statements of migrations.slice(version)) await patiently(client, statements);
  await client.query(
    `INSERT INTO ${VERSIONS} (name, version) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET version = excluded.version`,
    [name, migrations.length],
  );
}

function patiently(client: PoolClient, text: string) {
  // The client's own deadline, which every statement of the pool has.
  const query: { text: string; query_timeout: number } = { text, query_timeout: MIGRATION_TIMEOUT_MS };
  return client.query(query);
}
