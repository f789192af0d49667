/** Who a verified token speaks for. Frozen. */
export interface Identity {
  /** Never empty. */
  readonly sub: string;
  /** '' when the token names none. */
  readonly preferredUsername: string;
  /** Seconds since the epoch; undefined when the token has none. */
  readonly iat: number | undefined;
  /** Seconds since the epoch, finite. */
  readonly exp: number;
  /** '' when the token has none: such a token cannot be revoked on its own. */
  readonly jti: string;
  /** Without duplicates, in the order the token lists them. */
  readonly roles: readonly string[];
}

/** The last second that a Date can hold (ECMA-262 §21.4.1.1): a lifetime beyond it is no lifetime. */
const MAX_EPOCH_SECONDS = 8.64e12;

const NO_ROLES: readonly string[] = Object.freeze([]);

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The identity in a token's claims, or the reason why they hold none (`sub` must be a non-empty string, `exp` a number
 * that a clock can reach). Only own properties of the claims count, and what has the wrong type counts as absent.
 */
export function identityOf(claims: JsonObject): Identity | { readonly problem: string } {
  const sub = own(claims, 'sub');
  if (typeof sub !== 'string' || sub === '') return { problem: 'sub is not a non-empty string' };
  const exp = own(claims, 'exp');
  if (!isEpochSeconds(exp)) return { problem: 'exp is missing or not a usable number' };
  const iat = own(claims, 'iat');
  return freezeIdentity({
    sub,
    preferredUsername: textOf(own(claims, 'preferred_username')),
    iat: isEpochSeconds(iat) ? iat : undefined,
    exp,
    jti: textOf(own(claims, 'jti')),
    roles: rolesOf(claims),
  });
}

/** Roles from `realm_access.roles`, every `resource_access.*.roles`, `roles` and `groups`. */
function rolesOf(claims: JsonObject): readonly string[] {
  const roles = new Set<string>();
  const add = (list: unknown) => {
    if (!Array.isArray(list)) return;
    for (const role of list) if (typeof role === 'string' && role !== '') roles.add(role);
  };
  add(own(own(claims, 'realm_access'), 'roles'));
  const resources = own(claims, 'resource_access');
  if (isJsonObject(resources)) for (const resource of Object.values(resources)) add(own(resource, 'roles'));
  add(own(claims, 'roles'));
  add(own(claims, 'groups'));
  return [...roles];
}

/** Whether two identities say the same. */
export function sameIdentity(a: Identity, b: Identity): boolean {
  return (
    a.sub === b.sub &&
    a.preferredUsername === b.preferredUsername &&
    a.iat === b.iat &&
    a.exp === b.exp &&
    a.jti === b.jti &&
    a.roles.length === b.roles.length &&
    a.roles.every((role, index) => role === b.roles[index])
  );
}

/** A frozen copy with exactly the fields of an identity. */
export function freezeIdentity(identity: Identity): Identity {
  const { sub, preferredUsername, iat, exp, jti } = identity;
  const roles = identity.roles.length === 0 ? NO_ROLES : Object.freeze([...identity.roles]);
  return Object.freeze({ sub, preferredUsername, iat, exp, jti, roles });
}

/** Whether a value is a NumericDate (RFC 7519 §2) that a clock can reach. */
export function isEpochSeconds(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= MAX_EPOCH_SECONDS;
}

/** Whether a value parsed from JSON is an object and not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own property of a JSON object; undefined for everything else, inherited ones included. */
function own(value: unknown, name: string): unknown {
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
