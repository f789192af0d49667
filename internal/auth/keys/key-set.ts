import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
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
  | { readonly outcome: 'found'; readonly key: VerificationKey }
  /** No key has this id: a newer set may. */
  | { readonly outcome: 'unknown-kid' }
  | { readonly outcome: 'unfit'; readonly why: string };

/** RFC 7518 §3.3: a smaller RSA key must not be used. */
const MIN_RSA_BITS = 2048;

/** The keys in use at one time. Immutable: a refresh replaces the whole set, so a key that was taken out is gone. */
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
    const anyKey = kid === undefined || this.anyKid;
    const candidates = anyKey ? this.keys : this.keys.filter((key) => key.kid === kid);
    if (candidates.length === 0) return { outcome: 'unknown-kid' };
    const key = candidates.find((candidate) => candidate.algorithms.includes(alg));
    return key === undefined
      ? { outcome: 'unfit', why: `the key does not fit ${alg}` }
      : { outcome: 'found', key };
  }
}

/** The key in a JWK, or why it is not used. */
async function usableKey(jwk: unknown, allowed: readonly Algorithm[]): Promise<VerificationKey | string> {
  if (!isJsonObject(jwk)) return 'not an object';
  const { kty, kid, alg, use, key_ops: operations, crv, n, e, x, y } = jwk;
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return 'not a key type of asymmetric signatures';
  if (Object.hasOwn(jwk, 'd')) return 'a private key, which must not be published';
  if (kid !== undefined && typeof kid !== 'string') return 'kid is not a string';
  if (alg !== undefined && typeof alg !== 'string') return 'alg is not a string';
  if (use !== undefined && use !== 'sig') return 'not for signatures (use)';
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return 'not for verification (key_ops)';
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey({ format: 'jwk', key: { kty, crv, n, e, x, y } as JsonWebKey });
  } catch {
    return 'malformed';
  }
  return checkedKey(publicKey, kid, allowed, alg);
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

/** RFC 7517 §4.5: keys may share a kid only as alternatives of different types; otherwise the first one counts. */
function clash(key: VerificationKey, earlier: readonly VerificationKey[]): string | undefined {
  const taken = earlier.some(
    (other) =>
      key.kid !== undefined &&
      other.kid === key.kid &&
      other.algorithms.some((alg) => key.algorithms.includes(alg)),
  );
  return taken ? 'its kid was already taken by an earlier key' : undefined;
}
