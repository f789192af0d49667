import type { Identity } from '../auth/identity/identity.js';
import { covers, type Revocation } from '../auth/revocations/revocation.js';
import { DenseSet, type DenseSetMember } from '../collections/dense-set.js';
import { Multimap } from '../collections/multimap.js';
import type { ExchangeRoute } from '../config/config.js';
import { PacedQueue } from '../runtime/paced-queue.js';

/** Interval at which deadlines are checked, in milliseconds: no exchange has a timer of its own. */
const CHECK_MS = 250;

/** Exchanges cut in one turn of the event loop when thousands are cut for one reason. */
export const CUT_A_TURN = 100;

/** Age from which an exchange is listed by the admin API, in milliseconds. */
export const LONG_EXCHANGE_MS = 10_000;

/** Why an exchange is cut from outside. */
export type CutReason = 'revoked' | 'unverifiable' | 'banned' | 'admin' | 'shutdown' | 'endpointRemoved';

/** What the rest of the gateway may know of an exchange and do with it. */
export interface LiveExchange extends DenseSetMember {
  readonly id: string;
  /** The client's address, as far as trusted proxies are believed. */
  readonly ip: string;
  readonly route: ExchangeRoute;
  /** undefined before authentication, and on public routes without a token. */
  readonly identity: Identity | undefined;
  /** On the monotonic clock. */
  readonly startedMs: number;
  /** The `Tenancy` of its connection; undefined: it has reached no upstream. */
  readonly tenancy: object | undefined;
  /**
   * Ends it, with a status if no answer has begun, else by cutting the connection: now, or in a later turn of
   * the event loop if this turn has cut enough. From now on nothing passes to or from the upstream, and it
   * counts as cut.
   * @returns false: it cannot be cut.
   */
  cut(reason: CutReason): boolean;
  /** Checks its deadlines. */
  check(nowMs: number): void;
}

/** The exchanges of this process that are under way. */
export class Exchanges {
  readonly #live = new DenseSet<LiveExchange>();
  readonly #bySub = new Multimap<string, LiveExchange>();
  /** By `sid`, the session at the identity provider; only those whose token has one. */
  readonly #bySid = new Multimap<string, LiveExchange>();
  /** Exchanges that wait to be cut. */
  readonly endings = new PacedQueue(CUT_A_TURN);
  #timer: NodeJS.Timeout | undefined;
  #idle: (() => void) | undefined;
  #draining = false;
  #revoked = 0;

  get size(): number {
    return this.#live.size;
  }

  /** Exchanges that revocations have ended so far. */
  get revokedSoFar(): number {
    return this.#revoked;
  }

  /** Whether new ones are refused. */
  get draining(): boolean {
    return this.#draining;
  }

  [Symbol.iterator](): IterableIterator<LiveExchange> {
    return this.#live[Symbol.iterator]();
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#check(), CHECK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  add(exchange: LiveExchange): void {
    this.#live.add(exchange);
  }

  /** Indexes an exchange by its subject and by its token's `sid`. */
  identify(exchange: LiveExchange, { sub, sid }: Identity): void {
    this.#bySub.add(sub, exchange);
    if (sid !== '') this.#bySid.add(sid, exchange);
  }

  remove(exchange: LiveExchange): void {
    if (!this.#live.delete(exchange)) return;
    const { identity } = exchange;
    if (identity !== undefined) this.#bySub.delete(identity.sub, exchange);
    if (identity !== undefined && identity.sid !== '') this.#bySid.delete(identity.sid, exchange);
    if (this.#live.size === 0) this.#idle?.();
  }

  /** Ends those that a revocation covers. @returns how many. */
  revoked(revocation: Revocation): number {
    let ended = 0;
    for (const exchange of this.#candidates(revocation)) {
      if (exchange.identity === undefined || !covers(revocation, exchange.identity)) continue;
      if (exchange.cut('revoked')) ended++;
    }
    this.#revoked += ended;
    return ended;
  }

  /**
   * A copy. A revocation by `sub` and claim joined in one text does not tell where the subject ends: all are
   * candidates.
   */
  #candidates(revocation: Revocation): Iterable<LiveExchange> {
    if ('sub' in revocation) return this.#bySub.of(revocation.sub);
    return 'sid' in revocation ? this.#bySid.of(revocation.sid) : this.#live;
  }

  /**
   * Ends those whose token is no longer active (introspection). @param identity the identity object that the
   * token gave them, compared by reference.
   */
  lapsed(identity: Identity, reason: CutReason): void {
    for (const exchange of [...this.#bySub.of(identity.sub)])
      if (exchange.identity === identity) exchange.cut(reason);
  }

  /** Ends one of them for an administrator. @returns false: there is none of that id. */
  cut(id: string): boolean {
    for (const exchange of this.#live) {
      if (exchange.id !== id) continue;
      exchange.cut('admin');
      return true;
    }
    return false;
  }

  /** Ends those of a banned subject. */
  banned(sub: string): void {
    for (const exchange of [...this.#bySub.of(sub)]) exchange.cut('banned');
  }

  /** Ends those on endpoints that are removed, found by their tenancies. */
  removed(tenancies: ReadonlySet<object>): void {
    if (tenancies.size === 0) return;
    for (const exchange of this.#live)
      if (exchange.tenancy !== undefined && tenancies.has(exchange.tenancy)) exchange.cut('endpointRemoved');
  }

  /**
   * Refuses new ones from now on.
   * @returns when none is left, or after `withinMs` with the rest cut off.
   */
  async drain(withinMs: number): Promise<void> {
    this.#draining = true;
    if (this.#live.size > 0)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, withinMs);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    for (const exchange of this.#live) exchange.cut('shutdown');
    // After the last one that is queued.
    await this.endings.turn();
  }

  #check(): void {
    const nowMs = performance.now();
    for (const exchange of this.#live) exchange.check(nowMs);
  }
}
