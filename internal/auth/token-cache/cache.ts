import { freezeIdentity, type Identity, isEpochSeconds, isJsonObject } from '../identity/identity.js';

/** The cache entry of a verified token, without the token itself. Can be stored as JSON. */
export interface CachedIdentity {
  readonly identity: Identity;
  /** RFC 7638 thumbprint of the key that verified the token; the entry counts while that key is in use. */
  readonly keyThumbprint: string;
  /** Milliseconds since the epoch from which the entry no longer counts; never later than the `exp`. */
  readonly expiresAtMs: number;
}

/** Longest time for which a token counts as verified without checking its signature again. */
export const MAX_CACHE_LIFETIME_MS = 3_600_000;

/**
 * Where verified tokens are kept. The digest is 43 characters of base64url: SHA-256 over the
 * verification policy and the whole token. Implementations may throw or reject (ERR_STORE);
 * `TieredTokenCache` makes a miss of that. They pass what they read through
 * `parseCachedIdentity` and need not look at `expiresAtMs` beyond setting a TTL.
 */
export interface TokenCacheStore {
  /** The `store` label of `ws_token_cache_total`. */
  readonly name: 'memory' | 'redis' | 'postgres';
  get(digest: string): Promise<CachedIdentity | undefined> | CachedIdentity | undefined;
  set(digest: string, entry: CachedIdentity): Promise<void> | void;
  delete(digest: string): Promise<void> | void;
}

/**
 * An entry as read back from a store, after JSON.parse: undefined unless every field is there with its type
 * and the lifetime is within the identity's. A poisoned row is a miss, and the token is verified anew.
 */
export function parseCachedIdentity(json: unknown): CachedIdentity | undefined {
  if (!isJsonObject(json)) return undefined;
  const { identity, keyThumbprint, expiresAtMs } = json;
  if (!isIdentity(identity)) return undefined;
  if (typeof keyThumbprint !== 'string' || !/^[\w-]{43}$/.test(keyThumbprint)) return undefined;
  if (typeof expiresAtMs !== 'number' || !(expiresAtMs > 0 && expiresAtMs <= identity.exp * 1000))
    return undefined;
  return Object.freeze({ identity: freezeIdentity(identity), keyThumbprint, expiresAtMs });
}

function isIdentity(value: unknown): value is Identity {
  if (!isJsonObject(value)) return false;
  const { sub, preferredUsername, iat, exp, jti, roles, scopes, issuer, audiences, sid } = value;
  return (
    typeof sub === 'string' &&
    sub !== '' &&
    typeof preferredUsername === 'string' &&
    (iat === undefined || isEpochSeconds(iat)) &&
    isEpochSeconds(exp) &&
    typeof jti === 'string' &&
    typeof issuer === 'string' &&
    typeof sid === 'string' &&
    areTexts(roles) &&
    areTexts(scopes) &&
    areTexts(audiences)
  );
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}
