import { oldestBeyond, SweepCursor } from '../collections/eviction.js';
import { Holdings } from './holdings.js';
import { ALIVE_MS, BUDGET_MS, type Budget, type Ledger, type Mail, type Settlement } from './lease-ledger.js';

/** Budgets without a holder that are remembered at most until they are full again. */
const MAX_IDLE = 100_000;
/** Budgets looked at by a settlement, to forget those that have expired. */
const SWEEP_STEP = 2;

/** A budget: `free` leases with `tokens` in them as of `atMs`, the others with their holders. */
class Account {
  readonly perSecond: number;
  readonly burst: number;
  readonly leases: number;
  readonly held = new Holdings();
  free: number;
  tokens: number;
  atMs: number;
  expiresAtMs = 0;

  constructor({ perSecond, burst, leases }: Budget, nowMs: number) {
    this.perSecond = perSecond;
    this.burst = burst;
    this.leases = leases;
    this.free = leases;
    this.tokens = burst;
    this.atMs = nowMs;
  }
}

/**
 * The ledger of leases in the memory of one process, for processes that reach it without Redis. Settles
 * exactly as the scripts of `LeaseLedger` do.
 */
export class MemoryLedger implements Ledger {
  readonly up: boolean = true;
  readonly #now: () => number;
  readonly #maxIdle: number;
  readonly #accounts = new Map<string, Account>();
  /** Those without a holder, longest so first. */
  readonly #idle = new Set<string>();
  /** When each holder showed life last. */
  readonly #alive = new Map<string, number>();
  readonly #mail = new Map<string, Map<string, number>>();
  readonly #sweepCursor = new SweepCursor(this.#accounts);

  /** @param now monotonic milliseconds. */
  constructor(now: () => number = () => performance.now(), maxIdle = MAX_IDLE) {
    this.#now = now;
    this.#maxIdle = maxIdle;
  }

  /** Budgets remembered. */
  get size(): number {
    return this.#accounts.size;
  }

  async settle(
    budget: Budget,
    holder: string,
    want: number,
    backTokens: number,
    dead: readonly string[] = [],
  ): Promise<Settlement> {
    const nowMs = this.#now();
    const { name, burst } = budget;
    const account = this.#account(budget, nowMs);
    let released = 0;
    for (const other of dead) {
      if (other !== holder) released += release(account, other);
    }
    let mine = account.held.get(holder) ?? 0;
    const keep = Math.max(0, want);
    if (keep < mine) {
      released += mine - keep;
      mine = keep;
    }
    account.free += released;
    account.tokens += Math.min(backTokens, (released * burst) / account.leases);
    cap(account);
    let tokens = 0;
    if (keep > mine && account.free > 0) {
      const more = Math.min(keep - mine, account.free);
      tokens = (account.tokens * more) / account.free;
      account.free -= more;
      account.tokens -= tokens;
      mine += more;
    }
    const others = account.held.without(holder);
    if (want >= 0) account.held.set(holder, mine);
    else account.held.delete(holder);
    account.expiresAtMs = nowMs + BUDGET_MS;
    this.#idle.delete(name);
    if (account.held.isEmpty) {
      // Full again it need not be remembered.
      const fullInMs = ((burst - account.tokens) * 1000) / budget.perSecond;
      account.expiresAtMs = nowMs + Math.min(BUDGET_MS, fullInMs);
      this.#keepIdle(name);
    }
    this.#sweep(nowMs);
    return { held: mine, tokens, others };
  }

  async readMail(holder: string): Promise<Mail | undefined> {
    const wasAlive = this.#isAlive(holder);
    this.#alive.set(holder, this.#now());
    const mail: Mail = this.#mail.get(holder) ?? new Map();
    this.#mail.delete(holder);
    return wasAlive ? mail : undefined;
  }

  async retire(holder: string): Promise<void> {
    this.#alive.delete(holder);
    this.#mail.delete(holder);
  }

  async sendMail(holder: string, budget: Budget, keep: number): Promise<boolean> {
    if (!this.#isAlive(holder)) {
      await this.retire(holder);
      return false;
    }
    const mail = this.#mail.get(holder) ?? new Map<string, number>();
    this.#mail.set(holder, mail.set(budget.name, keep));
    return true;
  }

  /** A holder's process has ended: what it holds is free. Looks at every budget. */
  bury(holder: string): void {
    const nowMs = this.#now();
    this.#alive.delete(holder);
    this.#mail.delete(holder);
    for (const [name, account] of this.#accounts) {
      if (account.held.get(holder) === undefined) continue;
      accrue(account, nowMs);
      account.free += release(account, holder);
      if (account.held.isEmpty) this.#keepIdle(name);
    }
  }

  #account(budget: Budget, nowMs: number): Account {
    const { name } = budget;
    const known = this.#accounts.get(name);
    if (known !== undefined && known.expiresAtMs > nowMs) {
      accrue(known, nowMs);
      return known;
    }
    const account = new Account(budget, nowMs);
    this.#accounts.set(name, account);
    return account;
  }

  #isAlive(holder: string): boolean {
    const seenMs = this.#alive.get(holder);
    return seenMs !== undefined && this.#now() - seenMs < ALIVE_MS;
  }

  #keepIdle(name: string): void {
    this.#idle.add(name);
    for (const oldest of oldestBeyond(this.#idle, this.#maxIdle)) this.#forget(oldest);
  }

  #sweep(nowMs: number): void {
    for (const [name, account] of this.#sweepCursor.next(SWEEP_STEP))
      if (account.expiresAtMs <= nowMs) this.#forget(name);
  }

  #forget(name: string): void {
    this.#accounts.delete(name);
    this.#idle.delete(name);
  }
}

/** Takes a holder's leases away. @returns how many there were. */
function release(account: Account, holder: string): number {
  const leases = account.held.get(holder) ?? 0;
  account.held.delete(holder);
  return leases;
}

/** What free leases have gained; what held ones gain is their holder's to count. */
function accrue(account: Account, nowMs: number): void {
  const { perSecond, leases } = account;
  account.tokens += (Math.max(0, nowMs - account.atMs) * perSecond * account.free) / leases / 1000;
  account.atMs = nowMs;
  cap(account);
}

/** Free leases hold no more than their part of the burst. */
function cap(account: Account): void {
  const { leases, burst } = account;
  account.tokens = Math.min(account.tokens, (account.free * burst) / leases);
}
