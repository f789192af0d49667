import { hash } from 'node:crypto';
import { oldestBeyond } from '../../collections/eviction.js';
import type { Target } from '../../config/config.js';

/** How long a decrypted claim is cached at most (SPEC section 19). */
const MAX_LIFETIME_MS = 600_000;

/** Tokens cached for each target. */
const MAX_TOKENS = 10_000;

interface Kept {
  /** undefined: it cannot be decrypted. */
  readonly value: string | undefined;
  readonly untilMs: number;
}

/** A cache of decrypted claims by token: each private-key operation takes about 1 ms. */
export class DecryptedClaims {
  readonly #byTarget = new WeakMap<Target, Map<string, Kept>>();

  /** @param now milliseconds since the epoch. */
  constructor(readonly now: () => number = Date.now) {}

  /**
   * The decrypted claim of a token, from the cache or by `decrypt`. Failures are cached as well: otherwise
   * each request with such a token would cost a private-key operation.
   * @param exp seconds since the epoch.
   */
  of(target: Target, token: string, exp: number, decrypt: () => string | undefined): string | undefined {
    const kept = this.#keptFor(target);
    const digest = hash('sha256', token, 'base64url');
    const known = kept.get(digest);
    kept.delete(digest);
    const nowMs = this.now();
    if (known !== undefined && known.untilMs > nowMs) {
      kept.set(digest, known);
      return known.value;
    }
    const value = decrypt();
    kept.set(digest, { value, untilMs: Math.min(exp * 1000, nowMs + MAX_LIFETIME_MS) });
    for (const oldest of oldestBeyond(kept, MAX_TOKENS)) kept.delete(oldest);
    return value;
  }

  #keptFor(target: Target): Map<string, Kept> {
    let kept = this.#byTarget.get(target);
    if (kept === undefined) {
      kept = new Map();
      this.#byTarget.set(target, kept);
    }
    return kept;
  }
}
