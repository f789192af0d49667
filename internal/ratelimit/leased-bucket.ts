import { type Budget, ledgerName } from './lease-ledger.js';
import { TokenBucket } from './token-bucket.js';

/** Who fetches leases for buckets. */
export interface LeaseHolder {
  /** Grows whenever leases held until now are void; a bucket of an older epoch must call `adopt` first. */
  readonly epoch: number;
  adopt(bucket: LeasedBucket): void;
  /** The bucket runs low. */
  want(bucket: LeasedBucket): void;
  join(bucket: LeasedBucket): void;
  leave(bucket: LeasedBucket): void;
}

/** How many leases a budget is divided into, if its burst allows. */
const LEASES = 10;
/** Without a message for so long a bucket is not in use. */
const IDLE_MS = 500;
const NOBODY: readonly string[] = [];

/** The first answer of the ledger, awaited. */
interface Awaited {
  readonly answer: Promise<void>;
  readonly arrived: () => void;
}

/**
 * This process' share of a budget: as many leases as it holds, each a part of the burst with the same
 * part of the refill. Taking is as synchronous as with any bucket. With all leases it is the whole
 * budget, to the token; with fewer it may be drawn below zero by one lease's worth, which is paid back
 * from what comes later: that is all the overshoot there is. Without Redis (`held` undefined) it is a
 * local bucket of the full limit.
 */
export class LeasedBucket extends TokenBucket {
  /** Of the budget, in the ledger. */
  readonly name: string;
  readonly perSecond: number;
  readonly burst: number;
  /** Leases held; undefined: Redis is down, the local limit is in force. */
  held: number | undefined;
  /** Leases held when Redis went: still this process' own under its former holder id, if it is in time. */
  lost = 0;
  epoch: number;
  /** A settlement is under way; there is one at a time. */
  asking: boolean = false;
  /** Whether the ledger knows this process as a holder. */
  joined: boolean = false;
  /** Nobody uses the bucket. */
  parked: boolean = true;
  /** No need to ask again before. */
  askAfterMs = 0;
  settledMs = 0;
  /** Unanswered requests to other holders in a row. */
  attempts = 0;
  /** Holders found dead, to be told to the ledger. */
  #dead: readonly string[] = NOBODY;
  #awaited: Awaited | undefined;
  readonly #holder: LeaseHolder;
  #usedMs: number;
  /** A level below this is low. */
  #lowTokens = Number.NEGATIVE_INFINITY;

  constructor(holder: LeaseHolder, name: string, perSecond: number, burst: number, nowMs: number) {
    super(perSecond, burst, nowMs);
    this.name = ledgerName(name);
    this.perSecond = perSecond;
    this.burst = Math.max(1, burst);
    this.#holder = holder;
    this.epoch = holder.epoch;
    this.#usedMs = nowMs;
  }

  /** Leases the budget is divided into. SPEC section 10: one is at most max(1, burst / 10). */
  get leases(): number {
    return Math.min(LEASES, Math.floor(this.burst));
  }

  /** What the ledger is told. */
  get budget(): Budget {
    const { name, perSecond, burst, leases } = this;
    return { name, perSecond, burst, leases };
  }

  /**
   * Resolves with the ledger's first answer, or when it is clear that none will come;
   * undefined: nothing is awaited.
   */
  get ready(): Promise<void> | undefined {
    return this.#awaited?.answer;
  }

  override take(nowMs: number, tokens = 1): boolean {
    if (this.epoch !== this.#holder.epoch) this.#holder.adopt(this);
    const taken = super.take(nowMs, tokens);
    this.#usedMs = nowMs;
    if (!this.asking && nowMs >= this.askAfterMs && this.isLow(nowMs)) this.#holder.want(this);
    return taken;
  }

  isLow(nowMs: number): boolean {
    return this.level(nowMs) < this.#lowTokens;
  }

  /** As for any bucket; one that is still known to the ledger must not be forgotten. */
  override isFull(nowMs: number): boolean {
    if (this.epoch !== this.#holder.epoch) this.#holder.adopt(this);
    return !this.asking && !this.joined && super.isFull(nowMs);
  }

  /** Whether others can make better use of the leases: what a full bucket gains is lost. */
  isIdle(nowMs: number): boolean {
    return nowMs - this.#usedMs > IDLE_MS || super.isFull(nowMs);
  }

  join(): void {
    this.#holder.join(this);
  }

  leave(): void {
    this.#holder.leave(this);
  }

  /** From now on `held` leases; `addTokens` came with them or went with those given back. */
  hold(nowMs: number, held: number, addTokens: number): void {
    const { leases, burst, perSecond } = this;
    const share = held / leases;
    const capacity = burst * share;
    const creditTokens = held >= leases ? 0 : Math.max(1, burst / LEASES);
    this.reshape(nowMs, { perSecond: perSecond * share, capacity, creditTokens, addTokens });
    this.held = held;
    this.lost = 0;
    this.#lowTokens = held >= leases ? Number.NEGATIVE_INFINITY : capacity / 2;
  }

  /** The local limit is in force at once; what other processes may have spent of it cannot be known. */
  holdLocally(nowMs: number): void {
    const { leases, burst, perSecond } = this;
    const missing = this.held === undefined ? 0 : burst * (1 - this.held / leases);
    this.reshape(nowMs, { perSecond, capacity: burst, creditTokens: 0, addTokens: missing });
    this.lost += this.held ?? 0;
    this.held = undefined;
    this.#lowTokens = Number.NEGATIVE_INFINITY;
  }

  /** Holds nothing; a debt is remembered until it would be paid: coming back at once does not cancel it. */
  holdNothing(nowMs: number): void {
    this.hold(nowMs, 0, 0);
    const { perSecond, burst } = this;
    const creditTokens = Math.max(1, burst / LEASES);
    this.reshape(nowMs, { perSecond, capacity: 0, creditTokens, addTokens: 0 });
  }

  expectAnswer(): void {
    if (this.#awaited !== undefined) return;
    let arrived = () => {};
    const answer = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    this.#awaited = { answer, arrived };
  }

  answered(): void {
    this.#awaited?.arrived();
    this.#awaited = undefined;
  }

  foundDead(holder: string): void {
    this.#dead = [...this.#dead, holder];
  }

  /** Those found dead until now; the ledger is about to be told. */
  takeDead(): readonly string[] {
    const dead = this.#dead;
    this.#dead = NOBODY;
    return dead;
  }
}
