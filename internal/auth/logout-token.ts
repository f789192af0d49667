import { errors, type JWTVerifyOptions, jwtVerify } from 'jose';
import { GatewayError } from '../errors.js';
import { isJsonObject, own } from './identity/claims.js';
import { isEpochSeconds } from './identity/identity.js';
import { decodeToken, type UnverifiedToken } from './identity/jwt-shape.js';
import type { VerificationKey } from './keys/key-set.js';
import type { TrustedIssuers } from './trusted-issuers.js';

/** The content of a logout token: one session at the provider has ended, or all of a subject's. */
export interface Logout {
  readonly issuer: string;
  /** '' if absent; likewise below. */
  readonly sid: string;
  readonly sub: string;
  /**
   * The subject's issuer; undefined: there is only one, and the same name from a trusted header is the same
   * user.
   */
  readonly subjectOf: string | undefined;
  readonly jti: string;
  /** When the token expires, in milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

export interface LogoutTokensOptions {
  readonly clockSkewMs: number;
  /** `aud` must hold one of these; empty: one of the issuer's audiences. */
  readonly clientIds: readonly string[];
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/** Verifies logout tokens: OpenID Connect Back-Channel Logout 1.0 §2.6, all steps but the claim of `jti`. */
export class LogoutTokens {
  constructor(
    readonly options: LogoutTokensOptions,
    private readonly trusted: Pick<TrustedIssuers, 'of'>,
  ) {}

  /**
   * @throws GatewayError ERR_LOGOUT_TOKEN, or ERR_KEYS_UNAVAILABLE, by rejecting. The message is for the log.
   */
  async verify(token: string): Promise<Logout> {
    const unverified = decodeToken(token);
    if (unverified === undefined) throw refused('not three parts of JSON');
    const { header } = unverified;
    const issuer = this.trusted.of(unverified.claims);
    if (issuer === undefined) throw refused('iss is none of the issuers');
    const alg = issuer.rules.algorithms.find((listed) => listed === header.alg);
    if (alg === undefined) throw refused('alg is not one of those that are accepted');
    // §2.4: explicit typing (RFC 8725 §3.11) is recommended, no more: older providers say JWT, or nothing.
    if (header.typ !== undefined && !isUntyped(header.typ) && !isLogoutType(header.typ))
      throw refused('typ is not logout+jwt');
    if (Object.hasOwn(header, 'crit')) throw refused('crit names extensions, and none is supported');
    const { kid } = header;
    if (kid !== undefined && typeof kid !== 'string') throw refused('kid is not a string');
    let claims: Readonly<Record<string, unknown>>;
    try {
      const { rules } = issuer;
      const audience = this.options.clientIds.length > 0 ? this.options.clientIds : rules.audiences;
      claims = await verifiedByAny(token, await issuer.keys.find(kid, alg), {
        algorithms: [alg],
        requiredClaims: ['iss', 'iat', 'exp', 'jti'],
        clockTolerance: this.options.clockSkewMs / 1000,
        audience: [...audience],
        ...(rules.issuer === undefined ? {} : { issuer: rules.issuer }),
      });
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'ERR_KEYS_UNAVAILABLE') throw error;
      // no cause: these errors carry all claims of the token
      if (error instanceof errors.JOSEError || error instanceof GatewayError) throw refused(error.message);
      throw new GatewayError('ERR_LOGOUT_TOKEN', 'verification failed', { cause: error });
    }
    return this.#logoutIn(claims, issuer.rules.name === '' ? undefined : issuer.rules.issuer);
  }

  #logoutIn(claims: Readonly<Record<string, unknown>>, subjectOf: string | undefined): Logout {
    const [sub, sid, jti] = [textOf(claims, 'sub'), textOf(claims, 'sid'), textOf(claims, 'jti')];
    if (sub === '' && sid === '') throw refused('neither sub nor sid is there');
    if (jti === '') throw refused('jti is missing');
    if (!namesLogout(claims)) throw refused(`events has no member ${EVENT}`);
    if (Object.hasOwn(claims, 'nonce')) throw refused('nonce is there, which makes it an ID token');
    const iat = own(claims, 'iat');
    if (!isEpochSeconds(iat)) throw refused('iat is not a usable number');
    const skewMs = this.options.clockSkewMs;
    if (iat * 1000 > Date.now() + skewMs) throw refused('iat is in the future');
    const exp = own(claims, 'exp');
    if (!isEpochSeconds(exp)) throw refused('exp is not a usable number');
    const expiresAtMs = exp * 1000 + skewMs;
    return { issuer: textOf(claims, 'iss'), sid, sub, subjectOf, jti, expiresAtMs };
  }
}

/** Verifies it by the first key that its signature fits; several may have the same `kid`. */
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

/** Whether a token is a logout token, which must not be accepted as an access token (§2.4). */
export function isLogoutToken({ header, claims }: UnverifiedToken): boolean {
  return isLogoutType(header.typ) || namesLogout(claims);
}

/** RFC 7515 §4.1.9: `application/` may be left out. */
function isLogoutType(typ: unknown): boolean {
  return typeof typ === 'string' && /^(?:application\/)?logout\+jwt$/i.test(typ);
}

/** RFC 7519 §5.1: a type that says nothing more specific than JWT. */
function isUntyped(typ: unknown): boolean {
  return typeof typ === 'string' && /^(?:application\/)?jwt$/i.test(typ);
}

function namesLogout(claims: Readonly<Record<string, unknown>>): boolean {
  return isJsonObject(own(own(claims, 'events'), EVENT));
}

/** A text claim; '' if absent. @throws GatewayError ERR_LOGOUT_TOKEN: it is present and no text. */
function textOf(claims: Readonly<Record<string, unknown>>, name: string): string {
  const value = Object.hasOwn(claims, name) ? claims[name] : '';
  if (typeof value !== 'string') throw refused(`${name} is not a text`);
  return value;
}

function refused(why: string): GatewayError {
  return new GatewayError('ERR_LOGOUT_TOKEN', why);
}
