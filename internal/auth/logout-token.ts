import { errors, type JWTVerifyOptions, jwtVerify } from 'jose';
import { GatewayError } from '../errors.js';
import { isJsonObject, own } from './identity/claims.js';
import { isEpochSeconds } from './identity/identity.js';
import { decodeToken } from './identity/jwt-shape.js';
import type { VerificationKey } from './keys/key-set.js';
import type { TrustedIssuers } from './trusted-issuers.js';

/** What a provider says with a logout token: a session of its own has ended, or all of a subject's. */
export interface Logout {
  readonly issuer: string;
  /** '' when it is not named; likewise below. */
  readonly sid: string;
  readonly sub: string;
  readonly jti: string;
  /** Milliseconds since the epoch, from which the token is no good any more. */
  readonly expiresAtMs: number;
}

export interface LogoutTokensOptions {
  readonly clockSkewMs: number;
  /** `aud` must hold one of these; empty: one of the issuer's audiences. */
  readonly clientIds: readonly string[];
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
/** A token without `exp` is good for so long after `iat`: it is sent as soon as it is made. */
const LIFETIME_MS = 300_000;

/** Verifies logout tokens: OpenID Connect Back-Channel Logout 1.0 §2.6, all steps but the claim of `jti`. */
export class LogoutTokens {
  constructor(
    readonly options: LogoutTokensOptions,
    private readonly trusted: Pick<TrustedIssuers, 'of'>,
    /** Milliseconds since the epoch. */
    private readonly now: () => number = Date.now,
  ) {}

  /** @throws GatewayError ERR_LOGOUT_TOKEN, or ERR_KEYS_UNAVAILABLE, by rejecting. Why is for the log. */
  async verify(token: string): Promise<Logout> {
    const unverified = decodeToken(token);
    if (unverified === undefined) throw refused('not three parts of JSON');
    const { header } = unverified;
    const issuer = this.trusted.of(unverified.claims);
    if (issuer === undefined) throw refused('iss is none of the issuers');
    const alg = issuer.rules.algorithms.find((listed) => listed === header.alg);
    if (alg === undefined) throw refused('alg is not one of those that are accepted');
    // §2.4: explicit typing (RFC 8725 §3.11), so that no other token of the provider can be sent instead.
    if (header.typ !== undefined && !isLogoutType(header.typ)) throw refused('typ is not logout+jwt');
    if (Object.hasOwn(header, 'crit')) throw refused('crit names extensions, and none is supported');
    const { kid } = header;
    if (kid !== undefined && typeof kid !== 'string') throw refused('kid is not a string');
    let claims: Readonly<Record<string, unknown>>;
    try {
      const { rules } = issuer;
      const audience = this.options.clientIds.length > 0 ? this.options.clientIds : rules.audiences;
      claims = await verifiedByAny(token, await issuer.keys.find(kid, alg), {
        algorithms: [alg],
        requiredClaims: ['iat', 'jti'],
        clockTolerance: this.options.clockSkewMs / 1000,
        currentDate: new Date(this.now()),
        audience: [...audience],
        ...(rules.issuer === undefined ? {} : { issuer: rules.issuer }),
      });
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'ERR_KEYS_UNAVAILABLE') throw error;
      // no cause: these errors carry all claims of the token
      if (error instanceof errors.JOSEError || error instanceof GatewayError) throw refused(error.message);
      throw new GatewayError('ERR_LOGOUT_TOKEN', 'verification failed', { cause: error });
    }
    return this.#logoutIn(claims);
  }

  #logoutIn(claims: Readonly<Record<string, unknown>>): Logout {
    const [sub, sid, jti] = [textOf(claims, 'sub'), textOf(claims, 'sid'), textOf(claims, 'jti')];
    if (sub === '' && sid === '') throw refused('neither sub nor sid is there');
    if (jti === '') throw refused('jti is missing');
    if (!isJsonObject(own(own(claims, 'events'), EVENT))) throw refused(`events has no member ${EVENT}`);
    if (Object.hasOwn(claims, 'nonce')) throw refused('nonce is there, which makes it an ID token');
    const iat = own(claims, 'iat');
    if (!isEpochSeconds(iat)) throw refused('iat is not a usable number');
    const skewMs = this.options.clockSkewMs;
    if (iat * 1000 > this.now() + skewMs) throw refused('iat is in the future');
    const exp = own(claims, 'exp');
    const expiresAtMs = (isEpochSeconds(exp) ? exp * 1000 : iat * 1000 + LIFETIME_MS) + skewMs;
    if (expiresAtMs <= this.now()) throw refused('it has expired');
    return { issuer: textOf(claims, 'iss'), sid, sub, jti, expiresAtMs };
  }
}

/** By the first key whose signature it is; of several with one `kid` any may be. */
async function verifiedByAny(
  token: string,
  keys: readonly VerificationKey[],
  options: JWTVerifyOptions,
): Promise<Readonly<Record<string, unknown>>> {
  let failure: unknown;
  for (const { publicKey } of keys)
    try {
      return (await jwtVerify(token, publicKey, options)).payload;
    } catch (thrown) {
      failure = thrown;
      if (!(thrown instanceof errors.JWSSignatureVerificationFailed)) break;
    }
  throw failure;
}

/** RFC 7515 §4.1.9: `application/` may be left out. */
function isLogoutType(typ: unknown): boolean {
  return typeof typ === 'string' && /^(?:application\/)?logout\+jwt$/i.test(typ);
}

function textOf(claims: Readonly<Record<string, unknown>>, name: string): string {
  const value = own(claims, name);
  return typeof value === 'string' ? value : '';
}

function refused(why: string): GatewayError {
  return new GatewayError('ERR_LOGOUT_TOKEN', why);
}
