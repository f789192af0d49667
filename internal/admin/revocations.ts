import { createHash } from 'node:crypto';
import type { Revocation, Revocations, RevocationTarget } from '../auth/revocations/revocations.js';
import { firstPage, type Page } from './page.js';
import { invalid, readLimit, readParameters } from './parameters.js';
import { timeText } from './time.js';

/** A revocation in effect as the admin API shows it; times are RFC 3339. */
export type RevocationInfo = { readonly expiresAt: string } & (
  | { readonly kind: 'token'; readonly sub: string; readonly jti: string }
  | {
      readonly kind: 'subject';
      readonly sub: string;
      readonly issuer: string | undefined;
      readonly issuedUntil: string;
    }
  | { readonly kind: 'session'; readonly sid: string; readonly issuer: string | undefined }
  | { readonly kind: 'joined'; readonly text: string }
);

export interface RevocationQuery {
  readonly sub: string | undefined;
  readonly limit: number;
  /** Where the page before ended; undefined: the first page. */
  readonly after: Position | undefined;
}

/** A position in the list, which is ordered by expiry, then by digest. */
interface Position {
  readonly expiresAtMs: number;
  readonly digest: string;
}

export interface RevocationPage extends Page<RevocationInfo> {
  /** The cursor of the next page; undefined: there is none. */
  readonly next: string | undefined;
}

/** @throws AdminRefusal 400 */
export function readRevocationQuery(query: string): RevocationQuery {
  const parameters = readParameters(query, ['sub', 'limit', 'cursor']);
  const cursor = parameters.get('cursor');
  const [, expiresAtMs, digest] = /^(\d{1,16}(?:\.\d{1,9})?)_([\w-]{43})$/.exec(cursor ?? '') ?? [];
  if (cursor !== undefined && digest === undefined) throw invalid('cursor is not one of ours');
  return {
    sub: parameters.get('sub'),
    limit: readLimit(parameters.get('limit')),
    after: digest === undefined ? undefined : { expiresAtMs: Number(expiresAtMs), digest },
  };
}

/**
 * The revocation that DELETE /admin/revocations lifts: `sub` and `jti`, `sub` and `all=true`, or `sid`.
 * @throws AdminRefusal 400
 */
export function readRevocationTarget(query: string): RevocationTarget {
  const parameters = readParameters(query, ['sub', 'jti', 'all', 'sid']);
  const [sub, jti, all, sid] = (['sub', 'jti', 'all', 'sid'] as const).map(
    (name) => parameters.get(name) || undefined,
  );
  if (all !== undefined && all !== 'true') throw invalid('all must be true');
  if (sid !== undefined && sub === undefined && jti === undefined && all === undefined) return { sid };
  // Either one token or all of the subject: which is meant must not be guessed.
  if (sub !== undefined && sid === undefined && (jti === undefined) !== (all === undefined))
    return jti === undefined ? { sub, all: true } : { sub, jti };
  throw invalid('sub with jti, sub with all=true, or sid is required');
}

/** Revocations in force, the next to expire first. */
export function listRevocations(
  revocations: Pick<Revocations, 'current'>,
  { sub, limit, after }: RevocationQuery,
): RevocationPage {
  const { items, more } = firstPage(matching(revocations, sub, after), limit, byExpiry);
  const last = items.at(-1);
  return {
    items: items.map(revocationInfo),
    more,
    next: more && last !== undefined ? `${last.expiresAtMs}_${digestOf(last)}` : undefined,
  };
}

function* matching(
  revocations: Pick<Revocations, 'current'>,
  sub: string | undefined,
  after: Position | undefined,
): Generator<Revocation> {
  for (const revocation of revocations.current()) {
    if (sub !== undefined && !('sub' in revocation && revocation.sub === sub)) continue;
    if (after === undefined || isAfter(revocation, after)) yield revocation;
  }
}

function isAfter(revocation: Revocation, { expiresAtMs, digest }: Position): boolean {
  if (revocation.expiresAtMs !== expiresAtMs) return revocation.expiresAtMs > expiresAtMs;
  return digestOf(revocation) > digest;
}

function byExpiry(a: Revocation, b: Revocation): number {
  return a.expiresAtMs - b.expiresAtMs || (digestOf(a) < digestOf(b) ? -1 : 1);
}

function digestOf(revocation: Revocation): string {
  return createHash('sha256')
    .update(JSON.stringify([revocation.kind, ...nameOf(revocation)]))
    .digest('base64url');
}

function nameOf(revocation: Revocation): readonly unknown[] {
  switch (revocation.kind) {
    case 'token':
      return [revocation.sub, revocation.jti];
    case 'subject':
      return [revocation.sub, revocation.issuer ?? ''];
    case 'session':
      return [revocation.sid, revocation.issuer ?? null];
    case 'joined':
      return [revocation.text];
  }
}

function revocationInfo(revocation: Revocation): RevocationInfo {
  const expiresAt = timeText(revocation.expiresAtMs);
  switch (revocation.kind) {
    case 'token':
      return { kind: 'token', sub: revocation.sub, jti: revocation.jti, expiresAt };
    case 'subject': {
      const issuedUntil = timeText(revocation.issuedUntilMs);
      return { kind: 'subject', sub: revocation.sub, issuer: revocation.issuer, issuedUntil, expiresAt };
    }
    case 'session':
      return { kind: 'session', sid: revocation.sid, issuer: revocation.issuer, expiresAt };
    case 'joined':
      return { kind: 'joined', text: revocation.text, expiresAt };
  }
}
