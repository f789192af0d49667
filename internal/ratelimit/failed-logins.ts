import { oldestBeyond, SweepCursor } from '../collections/eviction.js';
import { addressBlock } from '../request/client-key.js';
import { TokenBucket } from './token-bucket.js';

export interface FailedLoginsOptions {
  /** Failures an address may have a minute, also all at once; default 20; 0: no limit. */
  readonly perMinute?: number;
  /** Addresses remembered, default 100,000; the ones longest without a login are forgotten first. */
  readonly maxAddresses?: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** For how long after a verified token its address is not refused. */
const TRUST_MS = 600_000;

/** Addresses that each login looks at: more than one, so that those of no interest do not pile up. */
const SWEEP = 2;

/** What is known of an address. */
class Address {
  trustedUntilMs = Number.NEGATIVE_INFINITY;
  /** undefined: no failure yet. */
  bucket: TokenBucket | undefined;

  /** Whether it may be forgotten: it would fare the same. */
  isOver(nowMs: number): boolean {
    return this.trustedUntilMs <= nowMs && (this.bucket === undefined || this.bucket.isFull(nowMs));
  }
}

/**
 * Failed authentications per client address (IPv6: per /64): asked at the opening handshake, before
 * any cryptography is spent.
 *
 * An address with too many failures is refused unless a token from it was verified lately: many honest
 * clients may share it with one dishonest one, and locking all of them out would be a gift to that one.
 * Whoever holds a valid token can so have forged ones looked at from the same address, which costs no more
 * than the handshakes themselves. Without a success an address is let through again one handshake at a
 * time, as its failures age.
 */
export class FailedLogins {
  readonly #perMinute: number;
  readonly #maxAddresses: number;
  readonly #now: () => number;
  /** In the order of the last login, good or bad. */
  readonly #addresses = new Map<string, Address>();
  readonly #sweepCursor = new SweepCursor(this.#addresses);

  constructor({
    perMinute = 20,
    maxAddresses = 100_000,
    now = () => performance.now(),
  }: FailedLoginsOptions = {}) {
    this.#perMinute = perMinute;
    this.#maxAddresses = maxAddresses;
    this.#now = now;
  }

  /** Whether a client of this address may try to log in; false: answer its handshake with 429. */
  allows(ip: string): boolean {
    const address = this.#addresses.get(addressBlock(ip));
    if (address === undefined) return true;
    const nowMs = this.#now();
    const { trustedUntilMs, bucket } = address;
    return trustedUntilMs > nowMs || bucket === undefined || bucket.level(nowMs) >= 1;
  }

  /** For the log: the limit that a refused address has reached. */
  limitOf(ip: string): string {
    return `${this.#perMinute} failed logins a minute of ${addressBlock(ip)}`;
  }

  failed(ip: string): void {
    if (this.#perMinute === 0) return;
    const address = this.#touch(ip);
    const nowMs = this.#now();
    address.bucket ??= new TokenBucket(this.#perMinute / 60, this.#perMinute, nowMs);
    // Failures beyond the size of the bucket do not count, so that many handshakes at once do not draw it far
    // below zero.
    address.bucket.take(nowMs);
  }

  succeeded(ip: string): void {
    if (this.#perMinute === 0) return;
    this.#touch(ip).trustedUntilMs = this.#now() + TRUST_MS;
  }

  /** Addresses remembered. */
  get size(): number {
    return this.#addresses.size;
  }

  #touch(ip: string): Address {
    const block = addressBlock(ip);
    const nowMs = this.#now();
    for (const [other, known] of this.#sweepCursor.next(SWEEP))
      if (known.isOver(nowMs)) this.#addresses.delete(other);
    const address = this.#addresses.get(block) ?? new Address();
    this.#addresses.delete(block);
    this.#addresses.set(block, address);
    for (const oldest of oldestBeyond(this.#addresses, this.#maxAddresses)) this.#addresses.delete(oldest);
    return address;
  }
}
