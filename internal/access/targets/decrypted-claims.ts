import { hash } from 'node:crypto';
import type { Target } from '../../config/config.js';

/** How long what a claim was decrypted to is believed, at most (SPEC section 19). */
const MAX_LIFETIME_MS = 600_000;

/** Tokens that are remembered for each target. */
const MAX_TOKENS = 10_000;

interface Kept {
  readonly value: string;
  readonly untilMs: number;
}

/** Decrypted claims, each with the token it was found in: a private-key operation takes about a millisecond. */
export class DecryptedClaims {
  readonly #byTarget = new WeakMap<Target, Map<string, Kept>>();

  /** @param now milliseconds since the epoch. */
  constructor(readonly now: () => number = Date.now) {}

  /** What `decrypt` makes of a token's claim, or has made of it lately. @param exp seconds since the epoch. */
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
    if (value === undefined) return undefined;
    const [oldest] = kept.size >= MAX_TOKENS ? kept.keys() : [];
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(digest, { value, untilMs: Math.min(exp * 1000, nowMs + MAX_LIFETIME_MS) });
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
