import { isActive } from '../auth/bans/ban.js';
import type { Ban, Bans } from '../auth/bans/bans.js';
import { firstPage } from './page.js';
import { invalid, readLimit, readOffset, readParameters } from './parameters.js';
import { invalidPayload, member, missing, parsePayload, textMember } from './payload.js';
import { readMoment, timeText } from './time.js';

/** What POST /admin/bans asks for. */
export interface BanOrder {
  readonly sub: string;
  readonly reason: string | undefined;
  /** Milliseconds since the epoch; Infinity: until it is lifted. */
  readonly untilMs: number;
}

/** A ban as the admin API shows it; times are RFC 3339, null: none. */
export interface BanInfo {
  readonly sub: string;
  readonly reason: string | null;
  readonly created: string;
  readonly until: string | null;
  readonly liftedAt: string | null;
}

export interface BanResult {
  readonly sub: string;
  readonly reason: string | null;
  readonly until: string | null;
  /** Whether it has been written to a store. */
  readonly persisted: boolean;
}

export interface BanQuery {
  readonly sub: string | undefined;
  /** Only those in force, or only those that are not; undefined: both. */
  readonly active: boolean | undefined;
  readonly limit: number;
  /** Entries to skip. */
  readonly offset: number;
}

export interface BanPage {
  readonly bans: readonly BanInfo[];
  /** Entries that match the filter, on all pages. */
  readonly total: number;
}

/** Longest reason, in characters. */
const MAX_REASON = 1_000;
/** Two hundred years, so that times can be written in RFC 3339. */
const MAX_SECONDS = 200 * 365 * 86_400;

/**
 * The body of POST /admin/bans: `{"sub", "reason"?, "seconds"? | "until"?}`.
 * @throws AdminRefusal 400
 */
export function readBan(body: Buffer, nowMs: number): BanOrder {
  const payload = parsePayload(body);
  const sub = textMember(payload, 'sub');
  const reason = textMember(payload, 'reason');
  const until = textMember(payload, 'until');
  const seconds = member(payload, 'seconds') ?? undefined;
  if (sub === undefined) throw missing('sub');
  if (reason !== undefined && reason.length > MAX_REASON)
    throw invalidPayload(`reason is longer than ${MAX_REASON} characters`);
  // With both, which one is meant must not be guessed.
  if (until !== undefined && seconds !== undefined) throw invalidPayload('either seconds or until');
  if (until !== undefined) return { sub, reason, untilMs: readUntil(until, nowMs) };
  if (seconds === undefined) return { sub, reason, untilMs: Number.POSITIVE_INFINITY };
  if (typeof seconds !== 'number' || !(seconds > 0 && seconds <= MAX_SECONDS))
    throw invalidPayload(`seconds must be a number over 0, at most ${MAX_SECONDS}`);
  return { sub, reason, untilMs: nowMs + seconds * 1000 };
}

function readUntil(text: string, nowMs: number): number {
  const untilMs = readMoment(text);
  if (untilMs === undefined) throw invalidPayload('until must be an ISO 8601 date and time');
  if (untilMs <= nowMs) throw invalidPayload('until has passed');
  return Math.min(untilMs, nowMs + MAX_SECONDS * 1000);
}

/** @throws AdminRefusal 400 */
export function readBanQuery(query: string): BanQuery {
  const parameters = readParameters(query, ['sub', 'active', 'limit', 'offset']);
  const active = parameters.get('active');
  if (active !== undefined && active !== 'true' && active !== 'false')
    throw invalid('active must be true or false');
  return {
    sub: parameters.get('sub'),
    active: active === undefined ? undefined : active === 'true',
    limit: readLimit(parameters.get('limit')),
    offset: readOffset(parameters.get('offset')),
  };
}

/** Bans in force and ended ones, the newest first. */
export function listBans(bans: Pick<Bans, 'all'>, { sub, active, limit, offset }: BanQuery): BanPage {
  const nowMs = Date.now();
  let total = 0;
  function* matching(): Generator<Ban> {
    for (const ban of bans.all()) {
      if (sub !== undefined && ban.sub !== sub) continue;
      if (active !== undefined && isActive(ban, nowMs) !== active) continue;
      total++;
      yield ban;
    }
  }
  const { items } = firstPage(matching(), offset + limit, newestFirst);
  return { bans: items.slice(offset).map(banInfo), total };
}

export function banResult({ sub, reason, untilMs }: Ban, persisted: boolean): BanResult {
  return { sub, reason: reason ?? null, until: momentText(untilMs), persisted };
}

function newestFirst(a: Ban, b: Ban): number {
  return b.createdMs - a.createdMs || (a.sub < b.sub ? -1 : 1);
}

function banInfo({ sub, reason, createdMs, untilMs, liftedMs }: Ban): BanInfo {
  return {
    sub,
    reason: reason ?? null,
    created: timeText(createdMs),
    until: momentText(untilMs),
    liftedAt: liftedMs === undefined ? null : timeText(liftedMs),
  };
}

function momentText(ms: number): string | null {
  return Number.isFinite(ms) ? timeText(ms) : null;
}
