import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { isJsonObject } from '../identity/identity.js';
import { type CachedIdentity, parseCachedIdentity } from './cache.js';

/** Longest entry kept in or believed from a shared store, in bytes: an identity with thousands of roles. */
export const MAX_ENTRY_BYTES = 65_536;

/**
 * Makes entries fit for a store that others can write to: JSON with an HMAC-SHA-256 under a key that is
 * derived from CACHE_SECRET. It covers claims, expiry and key thumbprint, and the digest they stand for,
 * which in turn covers the policy and the whole token: an entry that was made, altered or moved by somebody
 * without the secret is a miss.
 */
export class EntrySeal {
  readonly #key: Buffer;

  /** @param secret the same in all processes that share entries. */
  constructor(secret: string) {
    // RFC 5869; its own label, so that the same secret could serve for something else.
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'ws-gateway token cache 1', 32));
  }

  /** ASCII without NUL, whatever the claims are; undefined when it is too long to be kept. */
  seal(digest: string, entry: CachedIdentity): string | undefined {
    const text = JSON.stringify(entry);
    const sealed = JSON.stringify({ entry: text, mac: this.#mac(digest, text).toString('base64url') });
    return Buffer.byteLength(sealed) <= MAX_ENTRY_BYTES ? sealed : undefined;
  }

  /** What a store holds for a digest; undefined unless it is a whole, well-formed entry sealed for it. */
  open(digest: string, sealed: string): CachedIdentity | undefined {
    try {
      const json: unknown = JSON.parse(sealed);
      if (!isJsonObject(json)) return undefined;
      const { entry, mac } = json;
      if (typeof entry !== 'string' || typeof mac !== 'string') return undefined;
      const given = Buffer.from(mac, 'base64url');
      const right = this.#mac(digest, entry);
      if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
      return parseCachedIdentity(JSON.parse(entry));
    } catch {
      return undefined;
    }
  }

  /** A digest has a fixed length and no NUL, so that no two pairs read alike. */
  #mac(digest: string, text: string): Buffer {
    return createHmac('sha256', this.#key).update(`${digest}\0${text}`).digest();
  }
}
