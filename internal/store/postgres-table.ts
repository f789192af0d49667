import type { QueryConfig } from 'pg';

/** A table of rows that expire: created when it is not there, purged in the background. All text here is constant. */
export interface PostgresTable {
  readonly name: string;
  readonly keyColumn: string;
  /** Definitions besides `keyColumn text PRIMARY KEY` and `expires timestamptz NOT NULL`. */
  readonly columns: string;
}

/** Rows deleted by one statement: few enough that it stays far below the deadline. */
export const PURGE_BATCH_ROWS = 1_000;

/** Serialises the creation of tables by processes that start together ("ws-gw" in ASCII). */
const CREATION_LOCK = 0x77_73_2d_67_77;

/** One row with `present`: whether the table is there. Asked first, for CREATE needs a privilege that may be withheld. */
export function tableIsPresent({ name }: PostgresTable): QueryConfig {
  return { text: 'SELECT to_regclass($1) IS NOT NULL AS present', values: [name] };
}

/** Several statements in one message: one transaction. */
export function createTable({ name, keyColumn, columns }: PostgresTable): QueryConfig {
  return {
    text: `SELECT pg_advisory_xact_lock(${CREATION_LOCK});
      CREATE TABLE IF NOT EXISTS ${name} (${keyColumn} text PRIMARY KEY, ${columns}, expires timestamptz NOT NULL);
      CREATE INDEX IF NOT EXISTS ${name}_expires ON ${name} (expires);`,
  };
}

/** Deletes one batch of expired rows, passing over those that another process is deleting. */
export function purgeTable({ name, keyColumn }: PostgresTable): QueryConfig {
  return {
    name: `purge ${name}`,
    text: `DELETE FROM ${name} WHERE ${keyColumn} IN (SELECT ${keyColumn} FROM ${name} WHERE expires <= now()
      ORDER BY expires LIMIT ${PURGE_BATCH_ROWS} FOR UPDATE SKIP LOCKED)`,
  };
}
