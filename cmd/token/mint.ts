import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { UsageError } from '../line/command.js';
import type { TokenWishes } from './wishes.js';

export interface MintOptions extends TokenWishes {
  /** Default: what fits the key. */
  readonly alg?: string | undefined;
  readonly kid?: string | undefined;
}

const CURVE_ALGORITHMS: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

/**
 * Signs a token that begins now and has a jti of its own.
 * @param pem private key, PKCS #8, PKCS #1 or SEC 1
 * @throws UsageError when the key cannot be used
 */
export async function mint(pem: string, options: MintOptions): Promise<string> {
  const key = privateKey(pem);
  const alg = options.alg ?? algorithmOf(key);
  const nowSeconds = Math.floor(Date.now() / 1000);
  try {
    return await new SignJWT({ jti: randomUUID(), ...options.claims })
      .setProtectedHeader({ alg, typ: 'JWT', ...(options.kid !== undefined && { kid: options.kid }) })
      .setSubject(options.sub)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + Math.max(1, Math.round(options.ttlSeconds)))
      .sign(key);
  } catch {
    throw new UsageError([`--alg ${alg} does not fit the key`]);
  }
}

function privateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new UsageError(['--key holds no private key in PEM without a passphrase']);
  }
}

function algorithmOf(key: KeyObject): string {
  const curve = key.asymmetricKeyDetails?.namedCurve ?? '';
  const alg =
    key.asymmetricKeyType === 'rsa'
      ? 'RS256'
      : key.asymmetricKeyType === 'ed25519'
        ? 'EdDSA'
        : CURVE_ALGORITHMS[curve];
  if (alg === undefined)
    throw new UsageError([`--key: no algorithm is known for ${key.asymmetricKeyType} keys`]);
  return alg;
}
