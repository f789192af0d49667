import { hash } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import type { Algorithm, VerificationConfig } from '../config/config.js';
import { fromUnknown, GatewayError } from '../errors.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import { claimProblem, quoted } from './claim-problem.js';
import { type Identity, identityOf, sameIdentity } from './identity/identity.js';
import { decodeToken, isTokenShaped, MAX_TOKEN_CHARS, type UnverifiedToken } from './identity/jwt-shape.js';
import type { Introspection } from './introspection/introspection.js';
import type { VerificationKey } from './keys/key-set.js';
import { isLogoutToken } from './logout-token.js';
import { type CachedIdentity, MAX_CACHE_LIFETIME_MS } from './token-cache/cache.js';
import type { TieredTokenCache } from './token-cache/tiered.js';
import type { TrustedIssuer, TrustedIssuers } from './trusted-issuers.js';

/** What a route demands of a token beyond the rules of its issuer (SPEC section 23). */
export interface RouteTrust {
  /** Names of issuers, of which one must have issued it; empty: any. */
  readonly issuers: readonly string[];
  /** One must be in `aud`; empty: not checked. */
  readonly audience: readonly string[];
}

const ANY: RouteTrust = Object.freeze({ issuers: Object.freeze([]), audience: Object.freeze([]) });

type Verdict = Pick<CachedIdentity, 'identity' | 'keyThumbprint'>;

/** Turns tokens into identities (SPEC section 7). Revocations are checked elsewhere, after this. */
export class Authenticator {
  readonly #policyFingerprint: string;
  /** Verifications under way, by cache digest: clients with the same token share one. */
  readonly #running = new Map<string, Promise<Identity>>();

  /**
   * @param now milliseconds since the epoch.
   * @param introspection undefined: tokens are verified by signature alone.
   */
  constructor(
    private readonly config: VerificationConfig,
    private readonly trusted: Pick<TrustedIssuers, 'of' | 'named'>,
    private readonly cache: Pick<TieredTokenCache, 'near' | 'far' | 'keep' | 'set'>,
    private readonly metrics: Pick<Metrics, 'auth'>,
    private readonly now: () => number = Date.now,
    private readonly introspection?: Introspection | undefined,
  ) {
    const { issuer, audiences, algorithms, keySource, authorizedParties, issuers } = config;
    const { rolesClaims, nameClaim, scopeClaim } = config;
    this.#policyFingerprint = JSON.stringify([
      ...[3, issuer ?? null, audiences, algorithms, keySource, authorizedParties, issuers],
      ...[rolesClaims ?? null, nameClaim, scopeClaim, config.introspection ?? null],
    ]);
  }

  /**
   * The identity of a token; without a promise if this process has the token in its cache.
   * @param route its own demands are checked each time, for cached tokens, too.
   * @throws GatewayError, by rejecting: ERR_JWT_MALFORMED, ERR_JWT_INVALID, ERR_KEYS_UNAVAILABLE or
   *   ERR_INTROSPECTION_UNAVAILABLE. The message says why, for the log; no part of the token is in it beyond
   *   its `alg` and `kid`.
   */
  authenticate(token: string, route: RouteTrust = ANY): Identity | Promise<Identity> {
    const startMs = performance.now();
    const digest = this.#takes(token) ? this.#digest(token) : undefined;
    const near = digest === undefined ? undefined : this.cache.near(digest);
    if (near === undefined || !this.#counts(near))
      return this.#identify(token, digest)
        .finally(() => this.#took(startMs))
        .then((identity) => {
          const problem = this.#problemOn(route, identity);
          if (problem !== undefined) throw problem;
          return identity;
        });
    this.#took(startMs);
    const problem = this.#problemOn(route, near.identity);
    return problem === undefined ? near.identity : Promise.reject(problem);
  }

  /** Whether this process has a token in its cache, so that `authenticate` answers at once. */
  knows(token: string): boolean {
    const near = this.#takes(token) ? this.cache.near(this.#digest(token)) : undefined;
    return near !== undefined && this.#counts(near);
  }

  /** Whether a text can be a token at all. */
  #takes(text: string): boolean {
    return this.introspection === undefined ? isTokenShaped(text) : this.introspection.takes(text);
  }

  /** Why a valid token is refused on that route: ERR_JWT_INVALID. */
  #problemOn({ issuers, audience }: RouteTrust, identity: Identity): GatewayError | undefined {
    if (issuers.length > 0) {
      const name = this.trusted.named(identity.issuer)?.rules.name ?? '';
      if (!issuers.includes(name)) return invalid(`the route does not take tokens of issuer ${quoted(name)}`);
    }
    if (audience.length > 0 && !audience.some((one) => identity.audiences.includes(one)))
      return invalid('aud holds none of the audiences of the route');
    return undefined;
  }

  #took(startMs: number): void {
    this.metrics.auth.seconds.observe((performance.now() - startMs) / 1000);
  }

  /** @param digest undefined: the text cannot be a token. */
  async #identify(token: string, digest: string | undefined): Promise<Identity> {
    const unverified = digest === undefined ? undefined : decodeToken(token);
    const isNone = unverified === undefined && this.introspection === undefined;
    if (digest === undefined || isNone) throw malformed(token);
    const far = await this.#far(token, digest, unverified);
    if (far !== undefined) return far;
    let running = this.#running.get(digest);
    if (running === undefined) {
      running = this.#verify(token, unverified, digest).finally(() => this.#running.delete(digest));
      this.#running.set(digest, running);
    }
    return running;
  }

  /**
   * The input of the cache key: everything that decides the verdict, and nothing that the token merely
   * claims.
   */
  #digest(token: string): string {
    return hash('sha256', `${this.#policyFingerprint}\0${token}`, 'base64url');
  }

  #counts({ expiresAtMs, keyThumbprint, identity }: CachedIdentity): boolean {
    if (keyThumbprint === this.introspection?.fingerprint) return expiresAtMs > this.now();
    const issuer = this.trusted.named(identity.issuer);
    return expiresAtMs > this.now() && issuer !== undefined && issuer.keys.has(keyThumbprint);
  }

  async #far(
    token: string,
    digest: string,
    unverified: UnverifiedToken | undefined,
  ): Promise<Identity | undefined> {
    const entry = await this.cache.far(digest);
    if (entry === undefined || !this.#counts(entry)) return undefined;
    if (entry.keyThumbprint !== this.introspection?.fingerprint) {
      // an entry that differs from the token itself was tampered with or stored under the wrong key
      const { claims = {} } = unverified ?? {};
      const claimed = identityOf(claims, this.trusted.of(claims)?.claimNames);
      if (!('sub' in claimed) || !sameIdentity(claimed, entry.identity)) return undefined;
    }
    this.cache.keep(digest, entry);
    if (this.introspection?.follows(entry.keyThumbprint) === true)
      this.introspection.follow(entry.identity, token, entry.expiresAtMs);
    return entry.identity;
  }

  async #verify(token: string, unverified: UnverifiedToken | undefined, digest: string): Promise<Identity> {
    const { identity, keyThumbprint } = await this.#verdict(token, unverified);
    const { introspection } = this;
    const asked = introspection?.follows(keyThumbprint) === true ? introspection : undefined;
    const countsUntilMs = this.now() + (asked?.cacheMs ?? MAX_CACHE_LIFETIME_MS);
    asked?.follow(identity, token, countsUntilMs);
    const expiresAtMs = Math.min(identity.exp * 1000, countsUntilMs);
    if (expiresAtMs > this.now()) this.cache.set(digest, { identity, keyThumbprint, expiresAtMs });
    return identity;
  }

  /**
   * Verifies a token by its signature, by introspection, or by both.
   * @param unverified undefined: it is no JWT.
   */
  async #verdict(token: string, unverified: UnverifiedToken | undefined): Promise<Verdict> {
    const { introspection } = this;
    if (introspection?.decidesAlone(unverified) === true)
      return { identity: await introspection.identify(token), keyThumbprint: introspection.fingerprint };
    if (unverified === undefined) throw malformed(token);
    const signed = await this.#signed(token, unverified);
    if (introspection?.confirms === true) await introspection.confirm(token, signed.identity);
    return signed;
  }

  async #signed(token: string, unverified: UnverifiedToken): Promise<Verdict> {
    const { header, claims } = unverified;
    if (isLogoutToken(unverified)) throw invalid('it is a logout token');
    const issuer = this.trusted.of(claims);
    if (issuer === undefined) throw invalid('iss is none of the issuers in ISSUERS_FILE');
    const alg = this.#algorithm(header, issuer);
    const keys = await this.#keys(header, alg, issuer);
    const { identity, key } = await this.#verifiedByAny(token, alg, keys, issuer);
    return { identity, keyThumbprint: key.thumbprint };
  }

  #algorithm(header: UnverifiedToken['header'], { rules }: TrustedIssuer): Algorithm {
    const listed = rules.algorithms.find((alg) => alg === header.alg);
    const list = rules.name === '' ? 'JWT_VALID_ALGORITHMS' : `the algorithms of issuer ${rules.name}`;
    if (listed === undefined) throw invalid(`alg ${quoted(header.alg)} is not in ${list}`);
    // RFC 7515 §4.1.11: extensions that are not understood make a token invalid, and none is
    if (Object.hasOwn(header, 'crit')) throw invalid('crit names extensions, and none is supported');
    // RFC 7797 §6: the payload of a JWT is always encoded
    if (Object.hasOwn(header, 'b64') && header.b64 !== true) throw invalid('b64 is not true');
    return listed;
  }

  /** By `kid` alone: jwk, jku, x5u, x5c and x5t of the header could be chosen by a forger. */
  async #keys(
    header: UnverifiedToken['header'],
    alg: Algorithm,
    { keys }: TrustedIssuer,
  ): Promise<readonly VerificationKey[]> {
    const kid = header.kid;
    if (kid !== undefined && typeof kid !== 'string') throw invalid('kid is not a string');
    return keys.find(kid, alg);
  }

  /**
   * Verifies a token by the first of `keys` that its signature fits. @throws GatewayError as for the last of
   * them.
   */
  async #verifiedByAny(
    token: string,
    alg: Algorithm,
    keys: readonly VerificationKey[],
    issuer: TrustedIssuer,
  ): Promise<{ identity: Identity; key: VerificationKey }> {
    let failure: unknown;
    for (const key of keys) {
      try {
        return { identity: await this.#verified(token, alg, key, issuer), key };
      } catch (thrown) {
        failure = thrown;
        if (!(thrown instanceof WrongSignature)) break;
      }
    }
    throw failure;
  }

  async #verified(
    token: string,
    alg: Algorithm,
    key: VerificationKey,
    { rules, claimNames }: TrustedIssuer,
  ): Promise<Identity> {
    const { clockSkewMs, authorizedParties } = this.config;
    const { issuer, audiences } = rules;
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
      if (authorizedParties.length > 0 && !authorizedParties.some((party) => party === payload.azp))
        throw new errors.JWTClaimValidationFailed('azp is not in JWT_EXPECTED_AZP', payload, 'azp');
      identity = identityOf(payload, claimNames);
    } catch (error) {
      // no cause: these errors carry all claims of the token, which have no place in a log
      if (error instanceof errors.JWSSignatureVerificationFailed) throw new WrongSignature(error.message);
      if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired)
        throw invalid(claimProblem(error, rules, this.now()));
      if (error instanceof errors.JOSEError) throw invalid(error.message);
      throw new GatewayError('ERR_JWT_INVALID', fromUnknown(error).message, { cause: error });
    }
    if (!('sub' in identity)) throw invalid(identity.problem);
    return identity;
  }
}

/** Not signed with this key: perhaps with another one of the same id. */
class WrongSignature extends GatewayError {
  constructor(why: string) {
    super('ERR_JWT_INVALID', why);
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
