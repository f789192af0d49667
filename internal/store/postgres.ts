import { Pool, type PoolClient, type QueryConfig, type QueryResultRow } from 'pg';
import { readPostgresDsn } from '../dsn/postgres.js';
import { GatewayError } from '../errors.js';
import type { Log } from '../telemetry/log/log.js';
import { Availability } from './availability.js';
import { withinDeadline } from './deadline.js';
import { PostgresEncryption } from './postgres-encryption.js';
import { INSUFFICIENT_PRIVILEGE, meansPostgresIsDown, postgresFailure } from './postgres-failure.js';
import { LISTENER, PostgresListener, type PostgresSubscriber, SERVER } from './postgres-listener.js';
import { PostgresSchema } from './postgres-schema.js';
import { type PostgresTable, PURGE_BATCH_ROWS, purgeTable } from './postgres-table.js';

export interface PostgresStoreOptions {
  /** postgres:// URL as libpq takes it. */
  readonly dsn: string;
  readonly log: Log;
  /** Tables this process uses. */
  readonly tables: readonly PostgresTable[];
  /** How often expired rows are deleted, default 60 s. */
  readonly purgeIntervalMs?: number;
}

const POOL_SIZE = 4;
/** Time for one statement, and again as much for a free connection. */
const TIMEOUT_MS = 500;
/** Statements that may wait for a connection; more fail at once. */
const MAX_WAITING = 256;
const NOTIFY = `SELECT pg_notify($1, $2), (SELECT count(*)::int FROM pg_stat_activity
  WHERE application_name = $3 AND datname = current_database()) AS listeners`;
const PROBE = `SELECT current_setting('transaction_read_only') AS read_only, ${SERVER} AS server`;
/** SQLSTATE of a prepared statement that is not there, or is there although it was not prepared. */
const OF_ANOTHER_CONNECTION = new Set(['26000', '42P05']);
/** Batches of one purge: what is left waits for the next. */
const MAX_PURGE_BATCHES = 50;

/**
 * The process' Postgres: a small pool for statements, and one connection that listens. Statements have a
 * deadline, and while Postgres is down or refuses writes they fail at once.
 */
export class PostgresStore {
  readonly #options: PostgresStoreOptions;
  readonly #pool: Pool;
  readonly #encryption: PostgresEncryption;
  readonly #schema: PostgresSchema;
  readonly #availability: Availability;
  readonly #listener: PostgresListener;
  /** A pooler hands each statement to another connection, which knows none that was prepared. */
  #unprepared = false;
  #purging: NodeJS.Timeout | undefined;

  constructor(options: PostgresStoreOptions) {
    this.#options = options;
    const { url, ways } = readPostgresDsn(options.dsn);
    this.#encryption = new PostgresEncryption(ways);
    this.#pool = new Pool({
      connectionString: url,
      Client: this.#encryption.client,
      application_name: 'ws-gateway',
      max: POOL_SIZE,
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
      allowExitOnIdle: true,
      // The server ends what the client has given up. Set so: PgBouncer refuses it as a start-up parameter.
      onConnect: (client) => client.query(`SET statement_timeout = ${TIMEOUT_MS}`),
    });
    this.#schema = new PostgresSchema(options.tables);
    this.#availability = new Availability({
      dependency: 'postgres',
      log: options.log,
      probe: () => this.#encryption.inAnyWay(() => this.#probe()),
      reasonOf: postgresFailure,
    });
    this.#listener = new PostgresListener({
      dsn: url,
      Client: this.#encryption.client,
      timeoutMs: TIMEOUT_MS,
      onTrouble: (thrown) => {
        if (this.up)
          options.log.warn({ dependency: 'postgres', reason: postgresFailure(thrown) }, 'cannot listen');
      },
    });
    // An idle connection was lost: perhaps only that one.
    this.#pool.on('error', () => void this.#availability.check());
  }

  /** Whether Postgres answers and takes writes. */
  get up(): boolean {
    return this.#availability.up;
  }

  /** Calls `listener` now and whenever Postgres goes or comes back. */
  onChange(listener: (up: boolean) => void): void {
    this.#availability.onChange(listener);
  }

  /** Calls `listener` now and whenever what Postgres can do for the gateway becomes whole or ceases to be. */
  onWholeChange(listener: (whole: boolean) => void): void {
    this.#availability.onWholeChange(listener);
  }

  /**
   * Connects, makes or migrates its tables, and keeps trying in the background. Resolves when
   * that is done, or after 2 s.
   */
  async start(): Promise<void> {
    this.#purging = setInterval(() => void this.#purge(), this.#options.purgeIntervalMs ?? 60_000).unref();
    await withinDeadline(this.#availability.check(), 2_000).catch(() => {});
  }

  /**
   * Runs one statement; give it a `name` to have it prepared.
   * @param options.whileDown try although Postgres is thought down; without it that fails at once.
   * @throws GatewayError ERR_STORE; its message is a code, fit for logs.
   */
  async query<R extends QueryResultRow>(
    query: QueryConfig,
    options: { readonly whileDown?: boolean } = {},
  ): Promise<R[]> {
    if (!this.up && options.whileDown !== true) throw new GatewayError('ERR_STORE', 'postgres: down');
    if (this.#pool.waitingCount >= MAX_WAITING) throw new GatewayError('ERR_STORE', 'postgres: busy');
    const prepares = !this.#unprepared;
    try {
      return (await this.#pool.query<R>(prepares ? query : { ...query, name: undefined })).rows;
    } catch (thrown) {
      const reason = postgresFailure(thrown);
      if (OF_ANOTHER_CONNECTION.has(reason) && prepares) {
        this.#unprepared = true;
        return this.query<R>(query, options);
      }
      if (reason === INSUFFICIENT_PRIVILEGE) void this.#availability.check();
      else if (meansPostgresIsDown(reason)) this.#availability.failed(reason);
      // Without the cause: a driver's error carries the values of the statement.
      throw new GatewayError('ERR_STORE', `postgres: ${reason}`);
    }
  }

  /**
   * Runs one statement that may take its time: a report for an operator. That it fails
   * says nothing of the store.
   * @throws GatewayError ERR_STORE
   */
  async report<R extends QueryResultRow>(query: QueryConfig, withinMs: number): Promise<R[]> {
    if (!this.up) throw new GatewayError('ERR_STORE', 'postgres: down');
    if (this.#pool.waitingCount >= MAX_WAITING) throw new GatewayError('ERR_STORE', 'postgres: busy');
    let client: PoolClient | undefined;
    try {
      client = await this.#pool.connect();
      await client.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = ${withinMs}`);
      const slow = { ...query, query_timeout: withinMs + TIMEOUT_MS };
      const { rows } = await client.query<R>(slow);
      await client.query('COMMIT');
      client.release();
      return rows;
    } catch (thrown) {
      // Whatever it was left in, nobody else gets this connection.
      client?.release(true);
      throw new GatewayError('ERR_STORE', `postgres: ${postgresFailure(thrown)}`);
    }
  }

  /** LISTENs, on a connection of all channels, for as long as the store lives. */
  listen(channel: string, subscriber: PostgresSubscriber): void {
    this.#listener.add(channel, subscriber);
  }

  /**
   * Notifies a channel, although Postgres may be thought down.
   * @returns how many connections of gateways listen, to whatever channels; undefined:
   *   that is not to be seen.
   * @throws GatewayError ERR_STORE
   */
  async notify(channel: string, payload: string): Promise<number | undefined> {
    const query = { name: 'notify', text: NOTIFY, values: [channel, payload, LISTENER] };
    const [row] = await this.query<{ listeners: number }>(query, { whileDown: true });
    // None, though this process listens: those of other users are not shown.
    return row?.listeners || undefined;
  }

  /** Resolves when the connections are closed, or after 500 ms: a hung server keeps nobody. */
  async stop(): Promise<void> {
    this.#availability.stop();
    clearInterval(this.#purging);
    this.#listener.close();
    await withinDeadline(this.#pool.end(), 500).catch(() => {});
  }

  async #probe(): Promise<void> {
    const { rows } = await this.#pool.query<{ read_only: string; server: string }>(PROBE);
    const [row] = rows;
    // 25006 read_only_sql_transaction: a standby, or a server that is being moved.
    if (row?.read_only !== 'off') throw new GatewayError('ERR_STORE', '25006');
    this.#listener.stayWith(row.server);
    const newer = await this.#schema.bringUpToDate(this.#pool);
    this.#availability.lacks(await this.#schema.missingRights(this.#pool));
    if (newer.length > 0)
      this.#options.log.warn({ dependency: 'postgres', tables: newer }, 'tables are of a later release');
  }

  async #purge(): Promise<void> {
    for (const { name, purgedBy } of this.#options.tables) {
      if (purgedBy === undefined) continue;
      for (let batch = 0; batch < MAX_PURGE_BATCHES && this.up; batch++) {
        const deleted = await this.#pool.query(purgeTable(name, purgedBy)).then(
          ({ rowCount }) => rowCount ?? 0,
          () => 0,
        );
        if (deleted < PURGE_BATCH_ROWS) break;
      }
    }
  }
}
