import type { RouteRow, SessionLog, SessionRow } from '../activity/session-log.js';
import { GatewayError } from '../errors.js';
import { invalid, readLimit, readOffset, readParameters } from './parameters.js';
import { AdminRefusal } from './refusal.js';
import { readMoment } from './time.js';

const DAY_MS = 86_400_000;
/** Most buckets in one answer. */
const MAX_BUCKETS = 10_000;

interface Span {
  readonly from: Date;
  readonly to: Date;
}

type Row<R extends SessionRow | RouteRow> = {
  readonly [Key in keyof R]: R[Key] extends Date | null ? string | null : R[Key];
};

export interface ActivitySessions {
  readonly sessions: readonly Row<SessionRow>[];
  readonly total: number;
}

export interface ActivityRoutes {
  readonly routes: readonly Row<RouteRow>[];
}

/** @throws AdminRefusal 400, 404 where nothing is kept, 503 when the store does not answer. */
export async function activitySessions(
  log: SessionLog | undefined,
  query: string,
): Promise<ActivitySessions> {
  const kept = required(log);
  const parameters = readParameters(query, ['from', 'to', 'sub', 'limit', 'offset']);
  const { from, to } = readSpan(parameters);
  const page = { limit: readLimit(parameters.get('limit')), offset: readOffset(parameters.get('offset')) };
  const { rows, total } = await answered(kept.sessions(from, to, parameters.get('sub'), page));
  return {
    sessions: rows.map((row) => ({
      ...row,
      opened: row.opened.toISOString(),
      closed: row.closed.toISOString(),
    })),
    total,
  };
}

/** @throws AdminRefusal 400, 404 where nothing is kept, 503 when the store does not answer. */
export async function activityRoutes(log: SessionLog | undefined, query: string): Promise<ActivityRoutes> {
  const kept = required(log);
  const parameters = readParameters(query, ['from', 'to', 'bucket']);
  const { from, to } = readSpan(parameters);
  const bucket = readBucket(parameters.get('bucket'));
  if (bucket !== undefined && (to.getTime() - from.getTime()) / (bucket * 1000) > MAX_BUCKETS)
    throw invalid(`bucket is too small for the span: more than ${MAX_BUCKETS} of them`);
  const rows = await answered(kept.routes(from, to, bucket));
  return { routes: rows.map((row) => ({ ...row, bucket: row.bucket?.toISOString() ?? null })) };
}

function required(log: SessionLog | undefined): SessionLog {
  if (log !== undefined) return log;
  throw new AdminRefusal(404, 'not_found', 'no activity is kept: see ACTIVITY_STORE');
}

async function answered<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (thrown) {
    if (!(thrown instanceof GatewayError && thrown.code === 'ERR_STORE')) throw thrown;
    throw new AdminRefusal(503, 'store_unavailable', 'the store does not answer');
  }
}

/** The span asked for: `to` defaults to now, `from` to 24 hours before `to`. */
function readSpan(parameters: ReadonlyMap<'from' | 'to' | string, string>): Span {
  const toMs = moment(parameters.get('to'), 'to') ?? Date.now();
  const fromMs = moment(parameters.get('from'), 'from') ?? toMs - DAY_MS;
  if (fromMs > toMs) throw invalid('from must not be after to');
  return { from: new Date(fromMs), to: new Date(toMs) };
}

function moment(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  // The `+` of a time zone, if not percent-encoded, was decoded to a space.
  const ms = readMoment(text.replace(/ (?=\d\d:?\d\d$)/, '+'));
  if (ms === undefined) throw invalid(`${name} must be an ISO 8601 date and time`);
  return ms;
}

function readBucket(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  if (seconds < 1) throw invalid('bucket must be a whole number of seconds, 1 or more');
  return seconds;
}
