import { randomUUID, type webcrypto } from 'node:crypto';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

const ALGORITHM = 'RS256';
/** Ten years, as of every token that `ws-gateway token` makes. */
const MAX_TTL_SECONDS = 315_360_000;
const DEFAULT_TTL_SECONDS = 3600;

/** What is asked for at /dev/token; all of it may be missing. */
export interface DevTokenRequest {
  readonly sub?: unknown;
  readonly claims?: unknown;
  readonly ttlSeconds?: unknown;
}

/** An issuer whose key lives as long as the process. */
export class DevIssuer {
  readonly name = 'ws-gateway-dev';
  readonly audience = 'ws-gateway';

  private constructor(
    readonly jwks: { readonly keys: readonly JWK[] },
    private readonly key: webcrypto.CryptoKey,
  ) {}

  static async create(): Promise<DevIssuer> {
    const { privateKey, publicKey } = await generateKeyPair(ALGORITHM);
    const jwk = { ...(await exportJWK(publicKey)), kid: 'dev', alg: ALGORITHM, use: 'sig' };
    return new DevIssuer({ keys: [jwk] }, privateKey);
  }

  /** A token for whoever is asked for; what makes no sense in the request counts as not there. */
  sign({ sub, claims, ttlSeconds }: DevTokenRequest): Promise<string> {
    const ttl =
      typeof ttlSeconds === 'number' && ttlSeconds > 0
        ? Math.min(ttlSeconds, MAX_TTL_SECONDS)
        : DEFAULT_TTL_SECONDS;
    const nowSeconds = Math.floor(Date.now() / 1000);
    return new SignJWT({
      jti: randomUUID(),
      iss: this.name,
      aud: this.audience,
      ...(typeof claims === 'object' && claims !== null ? claims : {}),
    })
      .setProtectedHeader({ alg: ALGORITHM, kid: 'dev', typ: 'JWT' })
      .setSubject(typeof sub === 'string' && sub !== '' ? sub : 'dev')
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + Math.max(1, Math.round(ttl)))
      .sign(this.key);
  }
}
