import { createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import type { Algorithm } from '../../config/config.js';
import { isJsonObject } from '../identity/identity.js';

/** A public key and the algorithms it may verify: listed in JWT_VALID_ALGORITHMS and fit for the key. */
export interface VerificationKey {
  readonly kid: string | undefined;
  /** RFC 7638, SHA-256, base64url. */
  readonly thumbprint: string;
  readonly publicKey: KeyObject;
  readonly algorithms: readonly Algorithm[];
}

export type KeyLookup =
  /** One or more, of which any may have signed. */
  | { readonly outcome: 'found'; readonly keys: readonly VerificationKey[] }
  /** No key has this id: a newer set may. */
  | { readonly outcome: 'unknown-kid' }
  | { readonly outcome: 'unfit'; readonly why: string };

/** RFC 7518 §3.3: a smaller RSA key must not be used. */
const MIN_RSA_BITS = 2048;

/** Keys of one kid that are tried. */
const MAX_NAMESAKES = 4;

/** The keys in use at one time. Immutable: a refresh replaces the whole set, so a key taken out is gone. */
export class KeySet {
  readonly #thumbprints: ReadonlySet<string>;

  private constructor(
    readonly keys: readonly VerificationKey[],
    /** Why keys of the document were left out, for the log. */
    readonly skipped: readonly string[],
    private readonly anyKid: boolean,
  ) {
    this.#thumbprints = new Set(keys.map((key) => key.thumbprint));
  }

  /**
   * The usable keys of a JWK Set (RFC 7517 §5): what cannot be used is left out, not an error.
   * @throws TypeError when the document is no JWK Set.
   */
  static async fromJwks(document: unknown, allowed: readonly Algorithm[]): Promise<KeySet> {
    if (!isJsonObject(document) || !Array.isArray(document.keys))
      throw new TypeError('the document is not a JWK Set');
    const list: readonly unknown[] = document.keys;
    const keys: VerificationKey[] = [];
    const skipped: string[] = [];
    for (const [index, jwk] of list.entries()) {
      const key = await usableKey(jwk, allowed);
      const problem = typeof key === 'string' ? key : clash(key, keys);
      if (problem !== undefined) skipped.push(`keys[${index}]: ${problem}`);
      else if (typeof key !== 'string') keys.push(key);
    }
    return new KeySet(keys, skipped, false);
  }

  /**
   * One key that serves whatever `kid` a token names.
   * @throws TypeError when it fits none of the algorithms.
   */
  static async ofOne(publicKey: KeyObject, allowed: readonly Algorithm[]): Promise<KeySet> {
    const key = await checkedKey(publicKey, undefined, allowed, undefined);
    if (typeof key === 'string') throw new TypeError(key);
    return new KeySet([key], [], true);
  }

  has(thumbprint: string): boolean {
    return this.#thumbprints.has(thumbprint);
  }

  /** @param kid undefined: the token names none. */
  find(kid: string | undefined, alg: Algorithm): KeyLookup {
    if (kid === undefined && this.keys.length !== 1)
      return { outcome: 'unfit', why: `no kid, and the key set has ${this.keys.length} keys` };
    // A lone key that has no name of its own is meant for whatever name a token gives it.
    const unnamed = this.keys.length === 1 && this.keys[0]?.kid === undefined;
    const anyKey = kid === undefined || this.anyKid || unnamed;
    const candidates = anyKey ? this.keys : this.keys.filter((key) => key.kid === kid);
    if (candidates.length === 0) return { outcome: 'unknown-kid' };
    const keys = candidates.filter((candidate) => candidate.algorithms.includes(alg));
    return keys.length === 0
      ? { outcome: 'unfit', why: `the key does not fit ${alg}` }
      : { outcome: 'found', keys };
  }
}

/** The key in a JWK, or why it is not used. */
async function usableKey(jwk: unknown, allowed: readonly Algorithm[]): Promise<VerificationKey | string> {
  if (!isJsonObject(jwk)) return 'not an object';
  const { kty, kid, alg, use, key_ops: operations } = jwk;
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return 'not a key type of asymmetric signatures';
  if (Object.hasOwn(jwk, 'd')) return 'a private key, which must not be published';
  if (kid !== undefined && typeof kid !== 'string') return 'kid is not a string';
  if (alg !== undefined && typeof alg !== 'string') return 'alg is not a string';
  if (use !== undefined && use !== 'sig') return 'not for signatures (use)';
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return 'not for verification (key_ops)';
  let publicKey: KeyObject;
  try {
    publicKey = publicKeyOf(jwk);
  } catch {
    return 'malformed';
  }
  return checkedKey(publicKey, kid, allowed, alg);
}

/**
 * The key itself, or that of the certificate which some providers publish alone (RFC 7517 §4.7).
 * @throws Error
 */
function publicKeyOf({ kty, crv, n, e, x, y, x5c }: Readonly<Record<string, unknown>>): KeyObject {
  if (n !== undefined || x !== undefined)
    return createPublicKey({ format: 'jwk', key: { kty, crv, n, e, x, y } as JsonWebKey });
  const [first]: readonly unknown[] = Array.isArray(x5c) ? x5c : [];
  if (typeof first !== 'string') throw new TypeError('neither a key nor a certificate');
  // Only its key counts: who published the set vouches for it, not who signed the certificate.
  const { publicKey } = new X509Certificate(Buffer.from(first, 'base64'));
  if (publicKey.export({ format: 'jwk' }).kty !== kty)
    throw new TypeError('the certificate is of another type');
  return publicKey;
}

async function checkedKey(
  publicKey: KeyObject,
  kid: string | undefined,
  allowed: readonly Algorithm[],
  declared: string | undefined,
): Promise<VerificationKey | string> {
  const details = publicKey.asymmetricKeyDetails ?? {};
  if (publicKey.asymmetricKeyType === 'rsa') {
    if ((details.modulusLength ?? 0) < MIN_RSA_BITS) return `RSA with less than ${MIN_RSA_BITS} bits`;
    if ((details.publicExponent ?? 0n) < 3n) return 'RSA with a public exponent anyone can sign for';
  }
  const fitting = fittingAlgorithms(publicKey);
  if (fitting.length === 0) return 'a key type or curve without a JWS algorithm';
  const algorithms = fitting.filter((alg) => (declared ?? alg) === alg && allowed.includes(alg));
  if (algorithms.length === 0) return 'fits none of JWT_VALID_ALGORITHMS';
  const thumbprint = await calculateJwkThumbprint(publicKey.export({ format: 'jwk' }), 'sha256');
  return Object.freeze({ kid, thumbprint, publicKey, algorithms });
}

/** RFC 7518 §3.3 to §3.5, RFC 8037 §3.1. */
function fittingAlgorithms(key: KeyObject): readonly Algorithm[] {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
    case 'ed25519':
      return ['EdDSA'];
    case 'ec':
      return CURVES.get(key.asymmetricKeyDetails?.namedCurve) ?? [];
    default:
      return [];
  }
}

/** By OpenSSL's names. */
const CURVES: ReadonlyMap<string | undefined, readonly Algorithm[]> = new Map([
  ['prime256v1', ['ES256']],
  ['secp384r1', ['ES384']],
  ['secp521r1', ['ES512']],
]);

/**
 * Keys may share a kid (RFC 7517 §4.5), and then each that fits is tried. Bounded, for each try costs every
 * forged token a verification.
 */
function clash(key: VerificationKey, earlier: readonly VerificationKey[]): string | undefined {
  if (key.kid === undefined) return undefined;
  const namesakes = earlier.filter(({ kid }) => kid === key.kid);
  if (namesakes.some(({ thumbprint }) => thumbprint === key.thumbprint)) return 'listed twice';
  return namesakes.length >= MAX_NAMESAKES
    ? `its kid was already taken by ${MAX_NAMESAKES} others`
    : undefined;
}
