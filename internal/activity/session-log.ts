import { GatewayError } from '../errors.js';
import type { PostgresStore } from '../store/postgres.js';
import type { PostgresTable } from '../store/postgres-table.js';
import type { Log } from '../telemetry/log/log.js';

/** A session that was open, or an HTTP exchange of more than 10 s, after its end. */
export interface EndedSession {
  readonly id: string;
  /** undefined: nobody was authenticated. */
  readonly sub: string | undefined;
  /** undefined: not recognised. */
  readonly protocol: string | undefined;
  /** The route's prefix; undefined: none was chosen. */
  readonly route: string | undefined;
  /** Milliseconds since the epoch. */
  readonly openedMs: number;
  readonly closedMs: number;
  /** Name in the close-code table. */
  readonly reason: string;
  /** From the client; bytes count payload only. */
  readonly messagesIn: number;
  readonly bytesIn: number;
  /** To the client. */
  readonly messagesOut: number;
  readonly bytesOut: number;
}

export interface SessionLogOptions {
  readonly store: Pick<PostgresStore, 'up' | 'query' | 'report'>;
  /** How long a row is kept. */
  readonly keptMs: number;
  /** `ws_activity_dropped_total`. */
  readonly dropped: { inc(count: number): void };
  readonly log: Log;
}

/** The table of ended sessions (SPEC section 22). */
export const SESSION_LOG_TABLE: PostgresTable = {
  name: 'session_log',
  migrations: [
    `CREATE TABLE IF NOT EXISTS session_log (id text PRIMARY KEY, sub text, protocol text, route text,
       opened timestamptz NOT NULL, closed timestamptz NOT NULL, reason text NOT NULL,
       messages_in int8 NOT NULL, messages_out int8 NOT NULL, bytes_in int8 NOT NULL, bytes_out int8 NOT NULL,
       expires timestamptz NOT NULL);
     CREATE INDEX IF NOT EXISTS session_log_expires ON session_log (expires);
     CREATE INDEX IF NOT EXISTS session_log_closed ON session_log (closed);
     CREATE INDEX IF NOT EXISTS session_log_sub ON session_log (sub, closed);`,
  ],
  purgedBy: 'id',
};

/** Rows that may wait for the next batch; more are dropped. */
const MAX_WAITING = 20_000;
const BATCH_ROWS = 500;
const FLUSH_INTERVAL_MS = 1_000;
/** Time limit of a query. */
const REPORT_MS = 5_000;

const INSERT = `INSERT INTO session_log (id, sub, protocol, route, opened, closed, reason,
    messages_in, messages_out, bytes_in, bytes_out, expires)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
    $7::text[], $8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::timestamptz[])
  ON CONFLICT (id) DO NOTHING`;

/** Page and total in one statement, so that both are of the same snapshot. */
const SESSIONS = `WITH found AS (SELECT * FROM session_log
    WHERE closed >= $1 AND closed < $2 AND ($3::text IS NULL OR sub = $3))
  SELECT total, id, sub, protocol, route, opened, closed, reason, messages_in::float8 AS messages_in,
    messages_out::float8 AS messages_out, bytes_in::float8 AS bytes_in, bytes_out::float8 AS bytes_out
  FROM (SELECT count(*)::float8 AS total FROM found) AS counted
    LEFT JOIN (SELECT * FROM found ORDER BY closed DESC, id LIMIT $4 OFFSET $5) AS page ON true
  ORDER BY closed DESC, id`;
/** Buckets are aligned to the epoch. */
const ROUTES = `SELECT route, CASE WHEN $3::float8 IS NULL THEN NULL
      ELSE to_timestamp(floor(extract(epoch FROM closed)::float8 / $3) * $3) END AS bucket,
    count(*)::float8 AS sessions, sum(messages_in)::float8 AS messages_in, sum(messages_out)::float8 AS messages_out,
    sum(bytes_in)::float8 AS bytes_in, sum(bytes_out)::float8 AS bytes_out
  FROM session_log WHERE closed >= $1 AND closed < $2 GROUP BY 1, 2 ORDER BY 2, 1 LIMIT 10000`;

interface Counts {
  readonly messages_in: number;
  readonly messages_out: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
}

export interface SessionRow extends Counts {
  readonly id: string;
  readonly sub: string | null;
  readonly protocol: string | null;
  readonly route: string | null;
  readonly opened: Date;
  readonly closed: Date;
  readonly reason: string;
}

export interface RouteRow extends Counts {
  readonly route: string | null;
  /** Start of the bucket; null: the whole span is one. */
  readonly bucket: Date | null;
  readonly sessions: number;
}

/**
 * The log of ended sessions in Postgres. Rows are written in batches, so that no client waits for the store;
 * those that cannot be written are dropped and counted.
 */
export class SessionLog {
  readonly #options: SessionLogOptions;
  #waiting: EndedSession[] = [];
  #flushing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SessionLogOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.flush(), FLUSH_INTERVAL_MS).unref();
  }

  /** Writes what is left. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#flushing;
    await this.flush();
  }

  ended(session: EndedSession): void {
    if (this.#waiting.length >= MAX_WAITING) this.#options.dropped.inc(1);
    else this.#waiting.push(session);
  }

  /** Writes the waiting rows, or drops them. Never rejects. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  /**
   * Sessions that ended in a span of time, the latest first.
   * @param sub undefined: of all subjects.
   * @throws GatewayError ERR_STORE
   */
  async sessions(
    from: Date,
    to: Date,
    sub: string | undefined,
    { limit, offset }: { readonly limit: number; readonly offset: number },
  ): Promise<{ readonly rows: readonly SessionRow[]; readonly total: number }> {
    const { store } = this.#options;
    const span = [from, to, sub === undefined ? null : storable(sub)];
    const found = await store.report<Partial<SessionRow> & { total: number }>(
      { text: SESSIONS, values: [...span, limit, offset] },
      REPORT_MS,
    );
    const rows = found.flatMap(({ total: _, ...row }) => (isRow(row) ? [row] : []));
    return { rows, total: found[0]?.total ?? 0 };
  }

  /**
   * Totals of each route, at most 10,000 rows.
   * @param bucketSeconds undefined: the whole span in one bucket.
   * @throws GatewayError ERR_STORE
   */
  routes(from: Date, to: Date, bucketSeconds: number | undefined): Promise<readonly RouteRow[]> {
    return this.#options.store.report<RouteRow>(
      { text: ROUTES, values: [from, to, bucketSeconds ?? null] },
      REPORT_MS,
    );
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_ROWS);
      try {
        await this.#options.store.query({ name: 'session_log', text: INSERT, values: this.#valuesOf(batch) });
      } catch (thrown) {
        this.#options.dropped.inc(batch.length);
        if (!(thrown instanceof GatewayError))
          this.#options.log.error({ err: thrown }, 'sessions not logged');
      }
    }
  }

  /** The rows as one array for each column. */
  #valuesOf(batch: readonly EndedSession[]) {
    const optional = (text: string | undefined) => (text === undefined ? null : storable(text));
    return [
      batch.map(({ id }) => id),
      batch.map(({ sub }) => optional(sub)),
      batch.map(({ protocol }) => optional(protocol)),
      batch.map(({ route }) => optional(route)),
      batch.map(({ openedMs }) => new Date(openedMs)),
      batch.map(({ closedMs }) => new Date(closedMs)),
      batch.map(({ reason }) => reason),
      batch.map(({ messagesIn }) => messagesIn),
      batch.map(({ messagesOut }) => messagesOut),
      batch.map(({ bytesIn }) => bytesIn),
      batch.map(({ bytesOut }) => bytesOut),
      batch.map(({ closedMs }) => new Date(closedMs + this.#options.keptMs)),
    ];
  }
}

/** The statement answers an empty page with one row that has nothing but the total. */
function isRow(row: Partial<SessionRow>): row is SessionRow {
  return typeof row.id === 'string';
}

/** Postgres refuses NUL in text. */
function storable(text: string): string {
  return text.replaceAll('\0', '\u{fffd}');
}
