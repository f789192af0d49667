import { issuedUntil, type RevocableToken, type Revocation } from './revocation.js';

export interface RevokedSetLimits {
  readonly entries: number;
  /** Characters of all subjects and ids together. */
  readonly chars: number;
}

/** Entries looked at by one sweep: about a millisecond. */
const SWEEP_ENTRIES = 10_000;

/**
 * The revocations in effect. Look-ups are exact and synchronous. Past its limits the oldest go first: as all live equally
 * long, those are the next to expire.
 */
export class RevokedSet {
  readonly #limits: RevokedSetLimits;
  /** In order of insertion, which is nearly that of expiry. */
  readonly #entries = new Map<string, Revocation>();
  #chars = 0;

  constructor(limits: RevokedSetLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(token: RevocableToken, nowMs: number): boolean {
    const { sub, jti } = token;
    if (
      jti !== '' &&
      (this.#live(tokenKey(sub, jti), nowMs) || this.#live(joinedKey(`${sub}:${jti}`), nowMs))
    )
      return true;
    const subject = this.#live(subjectKey(sub), nowMs);
    return subject?.kind === 'subject' && issuedUntil(token, subject.issuedUntilMs);
  }

  /**
   * Puts a revocation into effect, or keeps one that is for longer.
   * @returns whether it reaches tokens that none reached before.
   */
  add(revocation: Revocation, nowMs: number): boolean {
    const key = keyOf(revocation);
    const known = this.#live(key, nowMs);
    const isNews =
      known === undefined ||
      (known.kind === 'subject' &&
        revocation.kind === 'subject' &&
        known.issuedUntilMs < revocation.issuedUntilMs);
    if (!isNews && known.expiresAtMs >= revocation.expiresAtMs) return false;
    // A later "issued until" contains the earlier one; an earlier one that lives longer only lengthens the later.
    const kept =
      isNews || known === undefined ? revocation : { ...known, expiresAtMs: revocation.expiresAtMs };
    this.#delete(key);
    this.#entries.set(key, kept);
    this.#chars += key.length;
    return isNews;
  }

  /** Forgets what has expired, a bounded number at a time, and the oldest past the limits. Returns how many those were. */
  sweep(nowMs: number): number {
    let looked = 0;
    let evicted = 0;
    for (const [key, { expiresAtMs }] of this.#entries) {
      const full = this.#entries.size > this.#limits.entries || this.#chars > this.#limits.chars;
      if (!full && ++looked > SWEEP_ENTRIES) break;
      if (expiresAtMs <= nowMs) this.#delete(key);
      else if (full) {
        this.#delete(key);
        evicted++;
      } else break;
    }
    return evicted;
  }

  /** What is in effect, oldest first. */
  *values(nowMs: number): Generator<Revocation> {
    for (const revocation of this.#entries.values()) if (revocation.expiresAtMs > nowMs) yield revocation;
  }

  #live(key: string, nowMs: number): Revocation | undefined {
    const revocation = this.#entries.get(key);
    return revocation !== undefined && revocation.expiresAtMs > nowMs ? revocation : undefined;
  }

  #delete(key: string): void {
    if (this.#entries.delete(key)) this.#chars -= key.length;
  }
}

function keyOf(revocation: Revocation): string {
  if (revocation.kind === 'token') return tokenKey(revocation.sub, revocation.jti);
  return revocation.kind === 'joined' ? joinedKey(revocation.text) : subjectKey(revocation.sub);
}

/** With the length in front `a:b` + `c` and `a` + `b:c` stay apart. */
function tokenKey(sub: string, jti: string): string {
  return `token ${sub.length} ${sub}${jti}`;
}

function joinedKey(text: string): string {
  return `joined ${text}`;
}

function subjectKey(sub: string): string {
  return `subject ${sub}`;
}
