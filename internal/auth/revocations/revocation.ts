import { isJsonObject } from '../identity/identity.js';

/** One token, named by its claims. */
interface TokenRevocation {
  readonly kind: 'token';
  readonly sub: string;
  readonly jti: string;
}

/** All tokens of a subject issued up to a moment. */
interface SubjectRevocation {
  readonly kind: 'subject';
  readonly sub: string;
  /** Whose subject it is; undefined: of whichever issuer. */
  readonly issuer?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly issuedUntilMs: number;
}

/** All tokens of a session at the provider. */
interface SessionRevocation {
  readonly kind: 'session';
  readonly sid: string;
  /** Whose session it is; undefined: of whichever issuer. */
  readonly issuer: string | undefined;
}

/** Every token whose `<sub>:<jti>` reads so: all that Go gateways say. */
interface JoinedRevocation {
  readonly kind: 'joined';
  readonly text: string;
}

/** What a revocation reaches. */
export type Revoked = TokenRevocation | SubjectRevocation | SessionRevocation | JoinedRevocation;

interface Kept {
  /** Milliseconds since the epoch, when it is forgotten. */
  readonly expiresAtMs: number;
}

export type Revocation = Revoked & Kept;

/** A revocation was taken back: one that is not remembered for longer than this does not count any more. */
export interface Lift extends Kept {
  readonly kind: 'lifted';
  readonly of: Revoked;
}

/** What processes tell each other. */
export type RevocationNews = Revocation | Lift;

/** What identifies a verified token; its identity has these fields. */
export interface RevocableToken {
  readonly sub: string;
  /** '' when the token has none: only a subject's revocation reaches it. */
  readonly jti: string;
  /** Seconds since the epoch; a token without it counts as issued before any revocation. */
  readonly iat?: number | undefined;
  /** '' or undefined: it belongs to no session that is known. */
  readonly sid?: string;
  readonly issuer?: string;
}

/**
 * Longest revocation believed from a store, channel and payload together, in bytes: twice
 * what the admin API takes.
 */
export const MAX_REVOCATION_BYTES = 131_072;

/** Whether a token falls under a revocation: exact comparison, no patterns. */
export function covers(revocation: Revocation, token: RevocableToken): boolean {
  if (revocation.kind === 'token') return token.jti === revocation.jti && token.sub === revocation.sub;
  if (revocation.kind === 'joined')
    return token.jti !== '' && `${token.sub}:${token.jti}` === revocation.text;
  const { issuer } = revocation;
  if (issuer !== undefined && token.issuer !== issuer) return false;
  if (revocation.kind === 'session') return token.sid === revocation.sid;
  return token.sub === revocation.sub && issuedUntil(token, revocation.issuedUntilMs);
}

/** `iat` counts seconds, so a token of the very second of the revocation counts as older. */
export function issuedUntil(token: RevocableToken, momentMs: number): boolean {
  return token.iat === undefined || token.iat * 1000 <= momentMs;
}

/**
 * The revocation as JSON: `{"sub","jti"}`, `{"sub","issuedUntilMs","iss"?}`,
 * `{"sid","iss"?}` or `{"joined"}`; one that was taken back: `{"lifted"}` with that text in it.
 * Equal ones give equal text.
 */
export function serializeRevocation(revocation: Revoked | Lift): string {
  if (revocation.kind === 'lifted') return JSON.stringify({ lifted: serializeRevocation(revocation.of) });
  if (revocation.kind === 'token') return JSON.stringify({ sub: revocation.sub, jti: revocation.jti });
  if (revocation.kind === 'joined') return JSON.stringify({ joined: revocation.text });
  if (revocation.kind === 'session') return JSON.stringify({ sid: revocation.sid, iss: revocation.issuer });
  const { sub, issuedUntilMs, issuer } = revocation;
  return JSON.stringify({ sub, issuedUntilMs, iss: issuer });
}

/** What is announced within this time of its making counts as made when it is heard. */
const LATE_MS = 1_000;

/**
 * The text that announces news to other processes. What has waited for the store says until when it counts,
 * in a member `until`: heard late, it must not go for newer than what was said meanwhile.
 * @param ttlMs how long a revocation is remembered.
 */
export function announcementOf(news: RevocationNews, ttlMs: number): string {
  const text = serializeRevocation(news);
  if (news.expiresAtMs > Date.now() + ttlMs - LATE_MS) return text;
  return `${text.slice(0, -1)},"until":${Math.round(news.expiresAtMs)}}`;
}

/**
 * The reverse of `serializeRevocation` and `announcementOf`; undefined for anything else.
 * @param heardUntilMs when it is forgotten, unless the text itself says sooner.
 */
export function deserializeRevocation(text: string, heardUntilMs: number): RevocationNews | undefined {
  if (Buffer.byteLength(text) > MAX_REVOCATION_BYTES || !Number.isFinite(heardUntilMs)) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isJsonObject(json)) return undefined;
  const { sub, jti, issuedUntilMs, joined, sid, iss, lifted, until } = json;
  const expiresAtMs = typeof until === 'number' ? Math.min(until, heardUntilMs) : heardUntilMs;
  if (isText(lifted)) {
    const of = deserializeRevocation(lifted, expiresAtMs);
    return of === undefined || of.kind === 'lifted' ? undefined : { kind: 'lifted', of, expiresAtMs };
  }
  if (isText(sub) && isText(jti)) return { kind: 'token', sub, jti, expiresAtMs };
  if (iss !== undefined && typeof iss !== 'string') return undefined;
  if (isText(sub) && typeof issuedUntilMs === 'number' && jti === undefined)
    return { kind: 'subject', sub, issuer: iss, issuedUntilMs, expiresAtMs };
  if (isText(sid) && sub === undefined) return { kind: 'session', sid, issuer: iss, expiresAtMs };
  if (isText(joined) && sub === undefined) return { kind: 'joined', text: joined, expiresAtMs };
  return undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
