import { BUDGET_MS, type Ledger, type Mail, type Settlement } from './lease-ledger.js';
import { LeasePresence } from './lease-presence.js';
import { LeasedBucket, type LeaseHolder } from './leased-bucket.js';

export interface LeasesOptions {
  readonly ledger: Ledger;
  /** Monotonic milliseconds; the limiter's clock. */
  readonly now?: () => number;
  /** Told when shared limits come into force and when local ones do. */
  readonly onChange?: (shared: boolean, cause: unknown) => void;
}

/** Mail is read and unanswered requests are repeated this often. */
const TICK_MS = 25;
/** Buckets looked at in a tick, to register them after an outage and renew them. */
const WALK_BATCH = 200;
/** Requests for a bucket that nobody uses meanwhile; other holders are alive and had the time to answer. */
const MAX_ATTEMPTS = 8;
/** Other holders asked at once. */
const MAX_ASKED = 16;

/**
 * Limits over all processes (SPEC section 10) without a message that waits. A budget is divided into at most
 * ten leases. The only process with a session of a subject holds all of them and asks Redis nothing more;
 * when another one joins, it finds none free and leaves mail for the holders of more than their fair part,
 * who give back what is over, tokens included, within a tick or two. A process whose bucket runs low asks
 * again, and gets what others do not use. A lease is with one holder or free, never both, so everything sent
 * in t seconds is at most `burst + perSecond * t` plus one lease per process: what a bucket without all
 * leases may be overdrawn by. That overdraft is also what a new session can send before Redis has answered.
 *
 * Redis down, slow or hung: every bucket has the full local limit from its next message on, and all
 * leases are void: the process comes back under a new holder id and frees what it held under the former
 * one, with what is left in it.
 */
export class Leases implements LeaseHolder {
  readonly #ledger: Ledger;
  readonly #now: () => number;
  /** Buckets in use, by name in the ledger. */
  readonly #used = new Map<string, LeasedBucket>();
  #walk: Iterator<LeasedBucket> | undefined;
  /** Those whose first answer is awaited. */
  readonly #unanswered = new Set<LeasedBucket>();
  /** Those that wait for leases other holders were asked for. */
  readonly #waiting = new Set<LeasedBucket>();
  #low: LeasedBucket[] = [];
  readonly #presence: LeasePresence;
  #timer: NodeJS.Timeout | undefined;

  constructor({ ledger, now = () => performance.now(), onChange = () => {} }: LeasesOptions) {
    this.#ledger = ledger;
    this.#now = now;
    this.#presence = new LeasePresence(
      ledger,
      {
        onPresent: () => onChange(true, undefined),
        onAbsent: (cause) => {
          this.#forgetRequests();
          onChange(false, cause);
        },
        onMail: (mail) => this.#answerMail(mail),
      },
      now(),
    );
  }

  get epoch(): number {
    return this.#presence.epoch;
  }

  /** Whether limits hold over all processes right now. */
  get shared(): boolean {
    return this.#presence.present;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    this.#tick();
  }

  /** Stops; leases still held are there for others who miss them. Never rejects. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#presence.stop();
  }

  bucket(name: string, perSecond: number, burst: number): LeasedBucket {
    return new LeasedBucket(this, name, perSecond, burst, this.#now());
  }

  join(bucket: LeasedBucket): void {
    this.adopt(bucket);
    bucket.parked = false;
    bucket.attempts = 0;
    this.#used.set(bucket.name, bucket);
    if (!this.shared) return;
    // One that held leases before an outage goes by the local limit until they are settled, as sessions do.
    if (bucket.lost === 0 && (bucket.held ?? 0) === 0) bucket.hold(this.#now(), 0, 0);
    bucket.expectAnswer();
    this.#unanswered.add(bucket);
    if (!bucket.asking) this.#ask(bucket);
  }

  leave(bucket: LeasedBucket): void {
    this.adopt(bucket);
    bucket.parked = true;
    this.#used.delete(bucket.name);
    this.#waiting.delete(bucket);
    if (bucket.joined && !bucket.asking) this.#giveUp(bucket);
  }

  adopt(bucket: LeasedBucket): void {
    if (bucket.epoch === this.epoch) return;
    bucket.epoch = this.epoch;
    bucket.asking = false;
    bucket.joined = false;
    bucket.takeDead();
    bucket.holdLocally(this.#now());
  }

  want(bucket: LeasedBucket): void {
    if (!this.shared) return;
    bucket.askAfterMs = this.#now() + TICK_MS;
    bucket.attempts = 0;
    if (this.#low.push(bucket) === 1) setImmediate(this.#askForLow);
  }

  readonly #askForLow = (): void => {
    const low = this.#low;
    this.#low = [];
    for (const bucket of low) this.#askAgain(bucket);
  };

  #tick(): void {
    const nowMs = this.#now();
    this.#presence.tick(nowMs);
    if (!this.shared) return;
    for (const bucket of [...this.#waiting]) this.#askAgain(bucket);
    this.#walkOn(nowMs);
  }

  #forgetRequests(): void {
    this.#low = [];
    this.#waiting.clear();
    for (const bucket of this.#unanswered) bucket.answered();
    this.#unanswered.clear();
  }

  /** Registers buckets that were in use during an outage, and renews those long without a settlement. */
  #walkOn(nowMs: number): void {
    for (let left = WALK_BATCH; left > 0; left--) {
      this.#walk ??= this.#used.values();
      const next = this.#walk.next();
      if (next.done === true) {
        this.#walk = undefined;
        return;
      }
      this.adopt(next.value);
      const due = next.value.held === undefined || nowMs - next.value.settledMs > BUDGET_MS / 3;
      if (due) this.#askAgain(next.value);
    }
  }

  #askAgain(bucket: LeasedBucket): void {
    if (this.shared && bucket.epoch === this.epoch && !bucket.asking && !bucket.parked) this.#ask(bucket);
  }

  #ask(bucket: LeasedBucket): void {
    const nowMs = this.#now();
    const { leases, burst } = bucket;
    bucket.askAfterMs = nowMs + TICK_MS;
    if (bucket.joined) return this.#settle(bucket, leases, 0, bucket.takeDead());
    // Buckets are forgotten when full: what a former id holds of one that remembers nothing is full, too.
    const left = bucket.lost === 0 ? burst : (Math.max(0, bucket.level(nowMs)) * bucket.lost) / leases;
    return this.#settle(bucket, leases, left, this.#presence.former);
  }

  #settle(bucket: LeasedBucket, want: number, backTokens: number, dead?: readonly string[]): void {
    const { epoch } = this;
    bucket.asking = true;
    this.#ledger.settle(bucket.budget, this.#presence.holder, want, backTokens, dead).then(
      (settlement) => {
        if (epoch === this.epoch) this.#settled(bucket, want, settlement);
      },
      (error: unknown) => {
        if (epoch === this.epoch) this.#presence.fail(error);
      },
    );
  }

  #settled(bucket: LeasedBucket, want: number, settlement: Settlement): void {
    const nowMs = this.#now();
    bucket.asking = false;
    bucket.settledMs = nowMs;
    bucket.joined = want >= 0;
    if (!bucket.joined) {
      if (!bucket.parked) this.#ask(bucket);
      return;
    }
    bucket.hold(nowMs, settlement.held, gained(bucket, settlement, nowMs));
    bucket.answered();
    this.#unanswered.delete(bucket);
    if (bucket.parked) this.#giveUp(bucket);
    // Who has just given leases back does not want them now.
    else if (want === bucket.leases) this.#askOthers(bucket, settlement, nowMs);
  }

  /** Everything back to the ledger, debts too. */
  #giveUp(bucket: LeasedBucket): void {
    const nowMs = this.#now();
    const backTokens = bucket.level(nowMs);
    bucket.holdNothing(nowMs);
    this.#settle(bucket, -1, backTokens);
  }

  #askOthers(bucket: LeasedBucket, { held, others }: Settlement, nowMs: number): void {
    const { leases } = bucket;
    const fair = Math.max(1, Math.floor(leases / (others.size + 1)));
    const enough = held === leases || (held >= fair && !bucket.isLow(nowMs));
    if (enough || bucket.attempts++ >= MAX_ATTEMPTS) {
      this.#waiting.delete(bucket);
      return;
    }
    this.#waiting.add(bucket);
    const rich = [...others].filter(([, theirs]) => theirs > fair);
    const keep = held < fair && rich.length > 0 ? fair : -fair;
    // Those with nothing to give are asked too where there are no rich ones: the dead count no longer then.
    const asked = (keep > 0 ? rich : [...others]).slice(0, MAX_ASKED);
    for (const [holder] of asked) this.#sendMail(bucket, holder, keep);
  }

  #sendMail(bucket: LeasedBucket, holder: string, keep: number): void {
    const { epoch } = this;
    this.#ledger.sendMail(holder, bucket.budget, keep).then(
      (alive) => {
        if (!alive && epoch === this.epoch) bucket.foundDead(holder);
      },
      (error: unknown) => {
        if (epoch === this.epoch) this.#presence.fail(error);
      },
    );
  }

  #answerMail(mail: Mail): void {
    const nowMs = this.#now();
    for (const [name, keep] of mail) {
      const bucket = this.#used.get(name);
      // One that is asking gets the mail again, from whoever still lacks leases then.
      if (bucket === undefined || bucket.asking) continue;
      this.adopt(bucket);
      if (bucket.held !== undefined) this.#giveBack(bucket, bucket.held, keep, nowMs);
    }
  }

  #giveBack(bucket: LeasedBucket, held: number, keep: number, nowMs: number): void {
    const kept = keep < 0 && bucket.isIdle(nowMs) ? 0 : Math.min(held, Math.abs(keep));
    if (kept === held) return;
    const backTokens = (Math.max(0, bucket.level(nowMs)) * (held - kept)) / held;
    this.#waiting.delete(bucket);
    // Out of use here before it is free there.
    bucket.hold(nowMs, kept, -backTokens);
    this.#settle(bucket, kept, backTokens);
  }
}

/** Tokens a settlement brings to a bucket, negative if leases were lost. */
function gained(bucket: LeasedBucket, { held, tokens }: Settlement, nowMs: number): number {
  // After an outage: not more than the local limit left, nor than the budget has.
  if (bucket.held === undefined) return Math.min(0, tokens - bucket.level(nowMs));
  if (held >= bucket.held) return tokens;
  return -Math.max(0, bucket.level(nowMs)) * (1 - held / bucket.held);
}
