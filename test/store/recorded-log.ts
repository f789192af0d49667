import { pino } from 'pino';
import { PostgresStore } from '../../internal/store/postgres.js';
import type { PostgresTable } from '../../internal/store/postgres-table.js';
import { RedisStore } from '../../internal/store/redis.js';

/** A log that keeps its lines. */
export function recordedLog() {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  return { log, lines, messages: () => lines.map(({ msg }) => msg) };
}

/** @param urls one, or those of a cluster. */
export function redisStoreWithLog(...urls: string[]) {
  const recorded = recordedLog();
  return { store: new RedisStore({ urls, log: recorded.log }), ...recorded };
}

export function postgresStoreWithLog(
  dsn: string,
  tables: readonly PostgresTable[],
  purgeIntervalMs = 60_000,
) {
  const recorded = recordedLog();
  return { store: new PostgresStore({ dsn, tables, purgeIntervalMs, log: recorded.log }), ...recorded };
}
