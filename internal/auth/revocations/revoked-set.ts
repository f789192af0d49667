import {
  issuedUntil,
  type Lift,
  type RevocableToken,
  type Revocation,
  type RevocationNews,
  type Revoked,
} from './revocation.js';

export interface RevokedSetLimits {
  readonly entries: number;
  /** Characters of all subjects and ids together. */
  readonly chars: number;
}

interface Entry {
  readonly revocation: RevocationNews;
  /** The last round in which it was added or read from the list. */
  round: number;
}

/** Entries looked at by one sweep: about a millisecond. */
const SWEEP_ENTRIES = 10_000;

/**
 * The revocations in effect. Look-ups are exact and synchronous. Past its limits the oldest go first: as all
 * live equally long, those are the next to expire.
 */
export class RevokedSet {
  readonly #limits: RevokedSetLimits;
  /** In order of insertion, which is nearly that of expiry. */
  readonly #entries = new Map<string, Entry>();
  #chars = 0;
  #round = 0;

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
    const { sid, issuer } = token;
    if (
      sid !== undefined &&
      sid !== '' &&
      (this.#live(sessionKey(sid, issuer), nowMs) || this.#live(sessionKey(sid, undefined), nowMs))
    )
      return true;
    return this.#hasSubject(token, undefined, nowMs) || (!!issuer && this.#hasSubject(token, issuer, nowMs));
  }

  #hasSubject(token: RevocableToken, issuer: string | undefined, nowMs: number): boolean {
    const subject = this.#live(subjectKey(token.sub, issuer), nowMs);
    return subject?.kind === 'subject' && issuedUntil(token, subject.issuedUntilMs);
  }

  /**
   * Adds a revocation, or keeps the present one if that lasts longer.
   * @returns whether it covers tokens that were not covered before.
   */
  add(revocation: Revocation, nowMs: number): boolean {
    const key = revokedKey(revocation);
    // Of two with the same time the later one counts; a list yields the lift first.
    const lift = this.#entries.get(liftKey(key))?.revocation;
    if (lift !== undefined && lift.expiresAtMs > Math.max(revocation.expiresAtMs, nowMs)) return false;
    const known = this.#live(key, nowMs);
    if (known === undefined || reachesFurther(revocation, known)) {
      this.#put(key, revocation);
      return true;
    }
    // An earlier "issued until" is contained in the later one: at most it lengthens its life.
    if (known.expiresAtMs < revocation.expiresAtMs)
      this.#put(key, { ...known, expiresAtMs: revocation.expiresAtMs });
    else if (!reachesFurther(known, revocation)) this.#speakOf(key);
    return false;
  }

  /** Takes a revocation back, unless there is a later one. @returns whether that was news. */
  lift(lift: Lift, nowMs: number): boolean {
    const key = revokedKey(lift.of);
    const known = this.#entries.get(liftKey(key))?.revocation;
    const revoked = this.#live(key, nowMs);
    if (revoked !== undefined && revoked.expiresAtMs <= lift.expiresAtMs) this.#delete(key);
    if (known !== undefined && known.expiresAtMs >= lift.expiresAtMs) {
      this.#speakOf(liftKey(key));
      return false;
    }
    this.#put(liftKey(key), lift);
    return true;
  }

  /** Begins a round: `unspoken` then yields what was not added again. */
  beginRound(): void {
    this.#round++;
  }

  /** What is in effect but was not added again in this round. */
  *unspoken(nowMs: number): Generator<RevocationNews> {
    for (const { revocation, round } of this.#entries.values())
      if (round < this.#round && revocation.expiresAtMs > nowMs) yield revocation;
  }

  /**
   * Forgets what has expired, a bounded number at a time, and the oldest past the limits.
   * Returns how many those were.
   */
  sweep(nowMs: number): number {
    let looked = 0;
    let evicted = 0;
    for (const [key, { revocation }] of this.#entries) {
      const full = this.#entries.size > this.#limits.entries || this.#chars > this.#limits.chars;
      if (!full && ++looked > SWEEP_ENTRIES) break;
      if (revocation.expiresAtMs <= nowMs) this.#delete(key);
      else if (full) {
        this.#delete(key);
        evicted++;
      } else break;
    }
    return evicted;
  }

  /** What is in effect and what was taken back, oldest first. */
  *values(nowMs: number): Generator<RevocationNews> {
    for (const { revocation } of this.#entries.values()) if (revocation.expiresAtMs > nowMs) yield revocation;
  }

  #live(key: string, nowMs: number): Revocation | undefined {
    const revocation = this.#entries.get(key)?.revocation;
    if (revocation === undefined || revocation.kind === 'lifted') return undefined;
    return revocation.expiresAtMs > nowMs ? revocation : undefined;
  }

  #put(key: string, revocation: RevocationNews): void {
    this.#delete(key);
    this.#entries.set(key, { revocation, round: this.#round });
    this.#chars += key.length;
  }

  #speakOf(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.round = this.#round;
  }

  #delete(key: string): void {
    if (this.#entries.delete(key)) this.#chars -= key.length;
  }
}

/** Of two revocations under one key: only those of a subject differ in what they reach. */
function reachesFurther(one: Revocation, other: Revocation): boolean {
  return one.kind === 'subject' && other.kind === 'subject' && one.issuedUntilMs > other.issuedUntilMs;
}

/** What revocations that replace each other have in common, and the lift of any of them. */
export function revokedKey(revocation: Revoked): string {
  if (revocation.kind === 'token') return tokenKey(revocation.sub, revocation.jti);
  if (revocation.kind === 'session') return sessionKey(revocation.sid, revocation.issuer);
  return revocation.kind === 'joined'
    ? joinedKey(revocation.text)
    : subjectKey(revocation.sub, revocation.issuer);
}

/** With the length in front `a:b` + `c` and `a` + `b:c` stay apart. */
function tokenKey(sub: string, jti: string): string {
  return `token ${sub.length} ${sub}${jti}`;
}

function sessionKey(sid: string, issuer: string | undefined): string {
  return issuer === undefined ? `session ${sid}` : `session-of ${sid.length} ${sid}${issuer}`;
}

function joinedKey(text: string): string {
  return `joined ${text}`;
}

function liftKey(key: string): string {
  return `lifted ${key}`;
}

function subjectKey(sub: string, issuer: string | undefined): string {
  return issuer === undefined ? `subject ${sub}` : `subject-of ${sub.length} ${sub}${issuer}`;
}
