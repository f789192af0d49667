import type { ReadableColumn, RecordTable } from '../../store/records/postgres-records.js';
import { isJsonObject } from '../identity/identity.js';

/** One ban of a subject. Times are milliseconds since the epoch. */
export interface Ban {
  readonly sub: string;
  readonly reason: string | undefined;
  readonly createdMs: number;
  /** Infinity: until it is lifted. */
  readonly untilMs: number;
  /** undefined: it was not lifted. */
  readonly liftedMs: number | undefined;
}

export function isActive({ untilMs, liftedMs }: Ban, nowMs: number): boolean {
  return liftedMs === undefined && untilMs > nowMs;
}

/** A ban that came from a store or another process; undefined: it is none. JSON writes Infinity as null. */
export function parseBan(value: unknown): Ban | undefined {
  if (!isJsonObject(value)) return undefined;
  const { sub, createdMs } = value;
  const reason = value.reason ?? undefined;
  const untilMs = value.untilMs ?? Number.POSITIVE_INFINITY;
  const liftedMs = value.liftedMs ?? undefined;
  if (typeof sub !== 'string' || sub === '' || !isMoment(createdMs)) return undefined;
  if (reason !== undefined && typeof reason !== 'string') return undefined;
  if (untilMs !== Number.POSITIVE_INFINITY && !isMoment(untilMs)) return undefined;
  if (liftedMs !== undefined && !isMoment(liftedMs)) return undefined;
  return { sub, reason, createdMs, untilMs, liftedMs };
}

/** The table of bans in Postgres (SPEC section 22). */
export const BANS_TABLE: RecordTable = {
  name: 'bans',
  columns: [
    text('sub', ({ sub }) => sub),
    text('reason', ({ reason }) => reason),
    time('created', ({ createdMs }) => createdMs),
    time('until', ({ untilMs }) => untilMs),
    time('lifted_at', ({ liftedMs }) => liftedMs),
  ],
};

function text(name: string, of: (ban: Ban) => string | undefined): ReadableColumn {
  return { name, type: 'text', of: (value) => cell(value, of) };
}

function time(name: string, of: (ban: Ban) => number | undefined): ReadableColumn {
  const moment = (ban: Ban) => {
    const ms = of(ban);
    return ms === undefined || !Number.isFinite(ms) ? undefined : new Date(ms).toISOString();
  };
  return { name, type: 'timestamptz', of: (value) => cell(value, moment) };
}

function cell(value: unknown, of: (ban: Ban) => string | undefined): string | null {
  const ban = parseBan(value);
  return (ban && of(ban)) ?? null;
}

/** The last moment a Date holds. */
const LAST_MS = 8_640_000_000_000_000;

function isMoment(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= LAST_MS;
}
