import type { QueryConfig } from 'pg';

/**
 * A table of the gateway's own. It is made on start and brought up to date by migrations, forward only: a
 * replica that is older than the database goes on with what it finds. All text here is constant.
 */
export interface PostgresTable {
  readonly name: string;
  /**
   * Entry n takes the table from version n to n + 1, the first one from nothing; each is one or more
   * statements, run with the others that are missing in one transaction. Entries are only ever
   * appended, never changed, and leave the table such that the release before still works with it:
   * replicas are replaced one by one. The first must do no harm where the table stands already, as an
   * operator may have made it.
   */
  readonly migrations: readonly [string, ...string[]];
  /**
   * Rows whose `expires` (timestamptz) has passed are deleted in the background, by this unique
   * column; undefined: none are.
   */
  readonly purgedBy: string | undefined;
}

/** Rows deleted by one statement: few enough that it stays far below the deadline. */
export const PURGE_BATCH_ROWS = 1_000;

export interface ExpiringTable {
  readonly name: string;
  readonly keyColumn: string;
  /** Definitions besides `keyColumn text PRIMARY KEY` and `expires timestamptz NOT NULL`. */
  readonly columns: string;
}

/** A table of rows that expire, at its first version. */
export function expiringTable({ name, keyColumn, columns }: ExpiringTable): PostgresTable {
  return {
    name,
    migrations: [
      `CREATE TABLE IF NOT EXISTS ${name} (${keyColumn} text PRIMARY KEY, ${columns}, expires timestamptz NOT NULL);
       CREATE INDEX IF NOT EXISTS ${name}_expires ON ${name} (expires);`,
    ],
    purgedBy: keyColumn,
  };
}

/** Deletes one batch of expired rows, passing over those that another process is deleting. */
export function purgeTable(name: string, keyColumn: string): QueryConfig {
  return {
    name: `purge ${name}`,
    text: `DELETE FROM ${name} WHERE ${keyColumn} IN (SELECT ${keyColumn} FROM ${name} WHERE expires <= now()
      ORDER BY expires LIMIT ${PURGE_BATCH_ROWS} FOR UPDATE SKIP LOCKED)`,
  };
}
