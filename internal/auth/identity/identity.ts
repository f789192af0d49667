import { claimsAt, textAt, textsIn, wordsAt } from './claim-paths.js';
import { type JsonObject, own } from './claims.js';

export { isJsonObject } from './claims.js';

/** The user of a verified token. Frozen. */
export interface Identity {
  /** Never empty. */
  readonly sub: string;
  /** '' when the token names none. */
  readonly preferredUsername: string;
  /** Seconds since the epoch; undefined when the token has none. */
  readonly iat: number | undefined;
  /** Seconds since the epoch, finite. */
  readonly exp: number;
  /** '' when the token has none; it cannot be revoked alone then. */
  readonly jti: string;
  /** Without duplicates, in the order the token lists them. */
  readonly roles: readonly string[];
  /** Likewise; of the claim JWT_SCOPE_CLAIM. */
  readonly scopes: readonly string[];
  /** `iss`; '' when the token has none. */
  readonly issuer: string;
  /** `aud`, whether it was one text or a list. */
  readonly audiences: readonly string[];
  /**
   * The session at the provider that the token belongs to (OpenID Connect Back-Channel
   * Logout 1.0 §2.1); '' for none.
   */
  readonly sid: string;
}

/** Names or paths of the claims that hold these (SPEC section 23); see `claimsAt`. */
export interface ClaimNames {
  /** undefined: the claims of SPEC section 7. */
  readonly roles: readonly string[] | undefined;
  readonly name: string;
  readonly scope: string;
}

export const DEFAULT_CLAIM_NAMES: ClaimNames = Object.freeze({
  roles: undefined,
  name: 'preferred_username',
  scope: 'scope',
});

/** The last second that a Date can hold (ECMA-262 §21.4.1.1): a later `exp` is invalid. */
export const MAX_EPOCH_SECONDS = 8.64e12;

const NONE: readonly string[] = Object.freeze([]);

/** SPEC section 7: in each of these a list. */
const ROLE_PLACES = ['realm_access.roles', 'resource_access.*.roles', 'roles', 'groups'];

/**
 * The identity in a token's claims, or the reason why they hold none
 * (`sub` must be a non-empty string, `exp` a number that a clock can reach). Only own properties of the
 * claims count, and what has the wrong type counts as absent.
 */
export function identityOf(
  claims: JsonObject,
  names: ClaimNames = DEFAULT_CLAIM_NAMES,
): Identity | { readonly problem: string } {
  const sub = own(claims, 'sub');
  if (typeof sub !== 'string' || sub === '') return { problem: 'sub is not a non-empty string' };
  const exp = own(claims, 'exp');
  if (!isEpochSeconds(exp)) return { problem: 'exp is missing or not a usable number' };
  const iat = own(claims, 'iat');
  return freezeIdentity({
    sub,
    preferredUsername: textAt(claims, names.name),
    iat: isEpochSeconds(iat) ? iat : undefined,
    exp,
    jti: textOf(own(claims, 'jti')),
    roles: [...new Set(names.roles === undefined ? customaryRoles(claims) : wordsIn(claims, names.roles))],
    scopes: [...new Set(wordsAt(claims, names.scope))],
    issuer: textOf(own(claims, 'iss')),
    audiences: audiencesOf(own(claims, 'aud')),
    sid: textOf(own(claims, 'sid')),
  });
}

function* customaryRoles(claims: JsonObject): Generator<string> {
  for (const place of ROLE_PLACES) for (const list of claimsAt(claims, place)) yield* textsIn(list);
}

function* wordsIn(claims: JsonObject, places: readonly string[]): Generator<string> {
  for (const place of places) yield* wordsAt(claims, place);
}

/** RFC 7519 §4.1.3. */
function audiencesOf(aud: unknown): readonly string[] {
  return typeof aud === 'string' ? [aud] : [...textsIn(aud)];
}

/** Whether two identities say the same. */
export function sameIdentity(a: Identity, b: Identity): boolean {
  return (
    a.sub === b.sub &&
    a.preferredUsername === b.preferredUsername &&
    a.iat === b.iat &&
    a.exp === b.exp &&
    a.jti === b.jti &&
    a.issuer === b.issuer &&
    a.sid === b.sid &&
    sameTexts(a.roles, b.roles) &&
    sameTexts(a.scopes, b.scopes) &&
    sameTexts(a.audiences, b.audiences)
  );
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}

/**
 * Identifies a token; undefined: it has no `jti`. The length in front keeps different pairs of names apart.
 */
export function tokenKey({ issuer, jti }: Identity): string | undefined {
  return jti === '' ? undefined : `${issuer.length} ${issuer}${jti}`;
}

/** A frozen copy with exactly the fields of an identity. */
export function freezeIdentity(identity: Identity): Identity {
  const { sub, preferredUsername, iat, exp, jti, issuer, sid } = identity;
  const roles = frozen(identity.roles);
  const scopes = frozen(identity.scopes);
  const audiences = frozen(identity.audiences);
  return Object.freeze({ sub, preferredUsername, iat, exp, jti, roles, scopes, issuer, audiences, sid });
}

function frozen(texts: readonly string[]): readonly string[] {
  return texts.length === 0 ? NONE : Object.freeze([...texts]);
}

/** Whether a value is a NumericDate (RFC 7519 §2) that a clock can reach. */
export function isEpochSeconds(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= MAX_EPOCH_SECONDS;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
