import { hash } from 'node:crypto';
import type { IntrospectionConfig, VerificationConfig } from '../../config/config.js';
import { GatewayError } from '../../errors.js';
import { type JsonObject, own } from '../identity/claims.js';
import { type Identity, identityOf, isEpochSeconds, MAX_EPOCH_SECONDS } from '../identity/identity.js';
import { MAX_TOKEN_CHARS, type UnverifiedToken } from '../identity/jwt-shape.js';
import type { TrustedIssuers } from '../trusted-issuers.js';
import type { IntrospectionEndpoint } from './endpoint.js';
import type { LiveTokens } from './live-tokens.js';

/** RFC 6749 Appendix A.12: visible ASCII and blanks; a blank would end it in a header. */
const VISIBLE = /^[!-~]+$/;

/**
 * Token introspection (SPEC section 25): for tokens that are no JWTs, or for all. The answer has to meet the
 * same rules as the claims of a JWT, as far as it has them.
 */
export class Introspection {
  /** Takes the place of the key in cache entries: they count only while this endpoint is configured. */
  readonly fingerprint: string;
  readonly #config: IntrospectionConfig;

  /** @param now milliseconds since the epoch. */
  constructor(
    readonly verification: VerificationConfig & { readonly introspection: IntrospectionConfig },
    readonly endpoint: Pick<IntrospectionEndpoint, 'ask'>,
    readonly trusted: Pick<TrustedIssuers, 'of'>,
    readonly live: Pick<LiveTokens, 'add'>,
    readonly now: () => number = Date.now,
  ) {
    this.#config = verification.introspection;
    const { url, clientId } = this.#config;
    this.fingerprint = hash('sha256', JSON.stringify(['introspection', url, clientId]), 'base64url');
  }

  /** Whether a text can be a token at all. */
  takes(text: string): boolean {
    return text.length <= MAX_TOKEN_CHARS && VISIBLE.test(text);
  }

  /**
   * Whether a token is verified by introspection alone, as it has no signature that could be verified.
   * @param token undefined: no JWT.
   */
  decidesAlone(token: UnverifiedToken | undefined): boolean {
    return token === undefined || this.verification.keySource.kind === 'none';
  }

  /** Whether a JWT with a valid signature must be active, too. */
  get confirms(): boolean {
    return this.#config.mode === 'always';
  }

  /** How long an answer counts. */
  get cacheMs(): number {
    return this.#config.cacheMs;
  }

  /**
   * Whether a token that was verified like that is introspected again while it has live sessions or
   * exchanges.
   */
  follows(keyThumbprint: string): boolean {
    return this.confirms || keyThumbprint === this.fingerprint;
  }

  /**
   * The identity of a token, if it is active.
   * @throws GatewayError ERR_JWT_INVALID, ERR_INTROSPECTION_UNAVAILABLE, by rejecting.
   */
  async identify(token: string): Promise<Identity> {
    const claims = await this.endpoint.ask(token);
    if (claims === undefined) throw invalid('the provider says that the token is not active');
    return this.#judged(claims);
  }

  /**
   * Likewise, for a token whose signature has been verified.
   * @throws GatewayError, also when the provider knows it as another user's.
   */
  async confirm(token: string, { sub }: Identity): Promise<void> {
    const answered = await this.identify(token);
    if (answered.sub !== sub) throw invalid('the provider says that the token is of another subject');
  }

  /**
   * Introspects a token again from `countsUntilMs` (epoch) on, as long as it has live sessions or exchanges.
   */
  follow(identity: Identity, token: string, countsUntilMs: number): void {
    this.live.add(identity, token, countsUntilMs - this.now());
  }

  #judged(claims: JsonObject): Identity {
    const { issuer, clockSkewMs, authorizedParties } = this.verification;
    const iss = own(claims, 'iss') ?? issuer;
    const named = iss === undefined ? undefined : this.trusted.of({ iss });
    // If the answer names an issuer, it must be the one of the token's rules.
    if (iss !== undefined && (named === undefined || (issuer !== undefined && iss !== issuer)))
      throw invalid('iss of the answer is none that is expected');
    const nowMs = this.now();
    const exp = own(claims, 'exp') ?? MAX_EPOCH_SECONDS;
    if (isEpochSeconds(exp) && exp * 1000 + clockSkewMs <= nowMs) throw invalid('exp of the answer is past');
    const nbf = own(claims, 'nbf');
    if (nbf !== undefined && !(isEpochSeconds(nbf) && nbf * 1000 - clockSkewMs <= nowMs))
      throw invalid('nbf of the answer is in the future, or no number');
    if (isOtherThanAccess(claims))
      throw invalid('the answer is about a token that gives no access by itself');
    // RFC 7662 §2.2: client_id is whom the token was issued for, as azp is in a JWT.
    const party = own(claims, 'azp') ?? own(claims, 'client_id');
    if (authorizedParties.length > 0 && !authorizedParties.some((one) => one === party))
      throw invalid('azp or client_id of the answer is not in JWT_EXPECTED_AZP');
    const identity = identityOf({ ...claims, iss, exp }, named?.claimNames ?? this.#claimNames);
    if (!('sub' in identity)) throw invalid(`${identity.problem}, in the answer`);
    const wanted = named?.rules.audiences ?? this.#audiencesOfAny;
    const isForOthers =
      own(claims, 'aud') !== undefined && !wanted.some((one) => identity.audiences.includes(one));
    if (wanted.length > 0 && isForOthers) throw invalid('aud of the answer holds none that is expected');
    return identity;
  }

  /**
   * Whom a token may be for whose answer does not say which of several issuers it is of:
   * it could be of any of them.
   */
  get #audiencesOfAny(): readonly string[] {
    const { issuers, audiences } = this.verification;
    const isEachLimited = issuers.length > 0 && issuers.every((one) => one.audiences.length > 0);
    return isEachLimited ? issuers.flatMap((one) => one.audiences) : audiences;
  }

  get #claimNames() {
    const { rolesClaims, nameClaim, scopeClaim } = this.verification;
    return { roles: rolesClaims, name: nameClaim, scope: scopeClaim };
  }
}

/**
 * Providers know refresh tokens and ID tokens as active, too, and tokens that are nothing without a proof
 * of possession (RFC 9449): only a bearer token may be used like this. Keycloak, Hydra and Cognito say so
 * in `typ` and `token_use`.
 */
function isOtherThanAccess(claims: JsonObject): boolean {
  const type = own(claims, 'token_type');
  if (type !== undefined && !(typeof type === 'string' && type.toLowerCase() === 'bearer')) return true;
  const use = own(claims, 'token_use');
  if (use !== undefined && use !== 'access_token' && use !== 'access') return true;
  const typ = own(claims, 'typ');
  return typ === 'Refresh' || typ === 'Offline' || typ === 'ID';
}

function invalid(why: string): GatewayError {
  return new GatewayError('ERR_JWT_INVALID', why);
}
