import { hash } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import type { Algorithm, VerificationConfig } from '../config/config.js';
import { fromUnknown, GatewayError } from '../errors.js';
import { forLog } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { type Identity, identityOf, sameIdentity } from './identity/identity.js';
import { decodeToken, isTokenShaped, MAX_TOKEN_CHARS, type UnverifiedToken } from './identity/jwt-shape.js';
import type { VerificationKey } from './keys/key-set.js';
import type { VerificationKeys } from './keys/keys.js';
import { type CachedIdentity, MAX_CACHE_LIFETIME_MS } from './token-cache/cache.js';
import type { TieredTokenCache } from './token-cache/tiered.js';

/** Turns tokens into identities (SPEC section 7). Whether a token was revoked is asked elsewhere, after this. */
export class Authenticator {
  readonly #policyFingerprint: string;
  /** Verifications that run now, by cache digest: clients with the same token share one. */
  readonly #running = new Map<string, Promise<Identity>>();

  /** @param now milliseconds since the epoch. */
  constructor(
    private readonly config: VerificationConfig,
    private readonly keys: Pick<VerificationKeys, 'find' | 'has'>,
    private readonly cache: Pick<TieredTokenCache, 'near' | 'far' | 'keep' | 'set'>,
    private readonly metrics: Pick<Metrics, 'auth'>,
    private readonly now: () => number = Date.now,
  ) {
    const { issuer, audiences, algorithms, keySource } = config;
    this.#policyFingerprint = JSON.stringify([1, issuer ?? null, audiences, algorithms, keySource]);
  }

  /**
   * The identity a token stands for: at once if this process knows the token.
   * @throws GatewayError, by rejecting: ERR_JWT_MALFORMED, ERR_JWT_INVALID or ERR_KEYS_UNAVAILABLE. The message says why,
   *   for the log; no part of the token is in it beyond its `alg` and `kid`.
   */
  authenticate(token: string): Identity | Promise<Identity> {
    const startMs = performance.now();
    const digest = isTokenShaped(token) ? this.#digest(token) : undefined;
    const near = digest === undefined ? undefined : this.cache.near(digest);
    if (near === undefined || !this.#counts(near))
      return this.#identify(token, digest).finally(() => this.#took(startMs));
    this.#took(startMs);
    return near.identity;
  }

  #took(startMs: number): void {
    this.metrics.auth.observe((performance.now() - startMs) / 1000);
  }

  /** @param digest undefined: what came does not even look like a token. */
  async #identify(token: string, digest: string | undefined): Promise<Identity> {
    const unverified = digest === undefined ? undefined : decodeToken(token);
    if (digest === undefined || unverified === undefined) throw malformed(token);
    const far = await this.#far(digest, unverified);
    if (far !== undefined) return far;
    let running = this.#running.get(digest);
    if (running === undefined) {
      running = this.#verify(token, unverified, digest).finally(() => this.#running.delete(digest));
      this.#running.set(digest, running);
    }
    return running;
  }

  /** What the cache key is made of: everything that decides the verdict, and nothing the token merely claims. */
  #digest(token: string): string {
    return hash('sha256', `${this.#policyFingerprint}\0${token}`, 'base64url');
  }

  #counts({ expiresAtMs, keyThumbprint }: CachedIdentity): boolean {
    return expiresAtMs > this.now() && this.keys.has(keyThumbprint);
  }

  async #far(digest: string, { claims }: UnverifiedToken): Promise<Identity | undefined> {
    const entry = await this.cache.far(digest);
    if (entry === undefined || !this.#counts(entry)) return undefined;
    // a row that says other than the very token it stands for was tampered with or put in the wrong place
    const claimed = identityOf(claims);
    if (!('sub' in claimed) || !sameIdentity(claimed, entry.identity)) return undefined;
    this.cache.keep(digest, entry);
    return entry.identity;
  }

  async #verify(token: string, { header }: UnverifiedToken, digest: string): Promise<Identity> {
    const alg = this.#algorithm(header);
    const key = await this.#key(header, alg);
    const identity = await this.#verified(token, alg, key);
    const expiresAtMs = Math.min(identity.exp * 1000, this.now() + MAX_CACHE_LIFETIME_MS);
    if (expiresAtMs > this.now())
      this.cache.set(digest, { identity, keyThumbprint: key.thumbprint, expiresAtMs });
    return identity;
  }

  #algorithm(header: UnverifiedToken['header']): Algorithm {
    const listed = this.config.algorithms.find((alg) => alg === header.alg);
    if (listed === undefined) throw invalid(`alg ${quoted(header.alg)} is not in JWT_VALID_ALGORITHMS`);
    // RFC 7515 §4.1.11: extensions that are not understood make a token invalid, and none is
    if (Object.hasOwn(header, 'crit')) throw invalid('crit names extensions, and none is supported');
    // RFC 7797 §6: the payload of a JWT is always encoded
    if (Object.hasOwn(header, 'b64') && header.b64 !== true) throw invalid('b64 is not true');
    return listed;
  }

  /** By `kid` alone: jwk, jku, x5u, x5c and x5t of a header are a forger's to choose. */
  async #key(header: UnverifiedToken['header'], alg: Algorithm): Promise<VerificationKey> {
    const kid = header.kid;
    if (kid !== undefined && typeof kid !== 'string') throw invalid('kid is not a string');
    return this.keys.find(kid, alg);
  }

  async #verified(token: string, alg: Algorithm, key: VerificationKey): Promise<Identity> {
    const { issuer, audiences, clockSkewMs } = this.config;
    let identity: ReturnType<typeof identityOf>;
    try {
      const { payload } = await jwtVerify(token, key.publicKey, {
        algorithms: [alg],
        requiredClaims: ['exp'],
        clockTolerance: clockSkewMs / 1000,
        currentDate: new Date(this.now()),
        ...(issuer === undefined ? {} : { issuer }),
        ...(audiences.length === 0 ? {} : { audience: [...audiences] }),
      });
      identity = identityOf(payload);
    } catch (error) {
      // no cause: these errors carry all claims of the token, which have no place in a log
      if (error instanceof errors.JOSEError) throw invalid(error.message);
      throw new GatewayError('ERR_JWT_INVALID', fromUnknown(error).message, { cause: error });
    }
    if (!('sub' in identity)) throw invalid(identity.problem);
    return identity;
  }
}

function malformed(token: string): GatewayError {
  const isLong = token.length > MAX_TOKEN_CHARS;
  return new GatewayError(
    'ERR_JWT_MALFORMED',
    isLong ? `longer than ${MAX_TOKEN_CHARS} characters` : 'not three parts of JSON',
  );
}

function invalid(why: string): GatewayError {
  return new GatewayError('ERR_JWT_INVALID', why);
}

/** A header value for the log: bounded, control characters escaped. */
function quoted(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(forLog(value)) : 'of a wrong type';
}
