import { DenseSet } from '../collections/dense-set.js';
import { oldestBeyond } from '../collections/eviction.js';
import type { RateLimitConfig } from '../config/config.js';
import { bucketKey, type LimitedClient } from './bucket-key.js';
import { LimitsInForce } from './limits-in-force.js';
import {
  type BudgetEntries,
  Entry,
  MessageBudget,
  type RouteLimit,
  type SharedBucket,
} from './message-budget.js';
import { TokenBucket } from './token-bucket.js';

/** Makes buckets that are shared with other processes; `Leases` does. */
export interface SharedBuckets {
  /** @param name tells budgets apart over all processes; may hold any characters. */
  bucket(name: string, perSecond: number, burst: number): SharedBucket;
}

export interface LimiterOptions {
  /**
   * The global limits; 0 a second: off. `LimitsInForce`: they and those of routes may
   * change, for live sessions too.
   */
  readonly config: RateLimitConfig | LimitsInForce;
  /** undefined: every process counts for itself. */
  readonly shared: SharedBuckets | undefined;
  /** Monotonic milliseconds; the clock of `shared` too. */
  readonly now?: () => number;
  /** Subjects without a session whose unfinished buckets are kept at most, default 100,000. */
  readonly maxIdle?: number;
}

/** Budgets brought up to date in one go after a change of limits: some milliseconds of work. */
const RETUNE_BATCH = 1_000;
const RETUNE_INTERVAL_MS = 20;
const SWEEP_INTERVAL_MS = 1000;
/** Idle buckets looked at in one sweep: about a millisecond's work. */
const SWEEP_BATCH = 10_000;

/**
 * The message and byte budgets of all clients (SPEC section 10). A subject has one bucket however many
 * sessions it has. Without a session its bucket is kept until it would be full again, so that reconnecting
 * gains nothing, and then forgotten: memory is bounded by the subjects of the last `burst / perSecond`
 * seconds and by `maxIdle`.
 */
export class Limiter {
  readonly #config: RateLimitConfig | LimitsInForce;
  readonly #shared: SharedBuckets | undefined;
  readonly #now: () => number;
  readonly #maxIdle: number;
  readonly #entries = new Map<string, Entry>();
  /** Those without a session, longest idle or looked at first. */
  readonly #idle = new Set<Entry>();
  /** Those of live sessions, where limits may change. */
  readonly #live = new DenseSet<MessageBudget>();
  #retuning: Iterator<MessageBudget> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor({ config, shared, now = () => performance.now(), maxIdle = 100_000 }: LimiterOptions) {
    this.#config = config;
    this.#shared = shared;
    this.#now = now;
    this.#maxIdle = maxIdle;
    if (config instanceof LimitsInForce) config.onChange(() => this.#retune());
  }

  start(): void {
    this.#timer ??= setInterval(() => this.sweep(), SWEEP_INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /**
   * The budget of a new session; undefined when no limit applies, nor ever will. Release it when the session
   * ends.
   *
   * With shared buckets ask for it as soon as the client is known: the share of this process is fetched
   * meanwhile.
   */
  acquire(client: LimitedClient, route?: RouteLimit): MessageBudget | undefined {
    const entries = this.#entriesFor(client, route);
    const adjustable = this.#config instanceof LimitsInForce;
    if (!adjustable && entries.messages === undefined && entries.bytes === undefined) return undefined;
    const budget = new MessageBudget(client, route, entries, this.#now, this.#release);
    if (adjustable) this.#live.add(budget);
    return budget;
  }

  #entriesFor(client: LimitedClient, route: RouteLimit | undefined): BudgetEntries {
    const { messages, bytes } = limitsOf(this.#config, route);
    return {
      messages: this.#use(client, `m${messages.scope}`, messages.perSecond, messages.burst),
      // A second's worth of bytes may come at once: a larger message never fits.
      bytes: this.#use(client, `b${bytes.scope}`, bytes.perSecond, bytes.perSecond),
    };
  }

  /** Limits have changed: gives every live session the buckets it would get now, a part of them at a time. */
  #retune(): void {
    const underWay = this.#retuning !== undefined;
    this.#retuning = this.#live[Symbol.iterator]();
    if (!underWay) this.#retuneSome();
  }

  readonly #retuneSome = (): void => {
    for (let left = RETUNE_BATCH; left > 0; left--) {
      const next = this.#retuning?.next();
      if (next === undefined || next.done === true) {
        this.#retuning = undefined;
        return;
      }
      const budget = next.value;
      if (this.#live.has(budget)) budget.exchange(this.#entriesFor(budget.client, budget.route));
    }
    setTimeout(this.#retuneSome, RETUNE_INTERVAL_MS).unref();
  };

  /** Buckets kept, those of live sessions and those that are not full again yet. */
  get size(): number {
    return this.#entries.size;
  }

  /** Forgets idle buckets that are full again; looks at a bounded number. The timer calls it every second. */
  sweep(): void {
    const nowMs = this.#now();
    let left = Math.min(SWEEP_BATCH, this.#idle.size);
    for (const entry of this.#idle) {
      if (left-- === 0) return;
      this.#idle.delete(entry);
      if (entry.bucket.isFull(nowMs)) this.#entries.delete(entry.key);
      else this.#idle.add(entry);
    }
  }

  #use(client: LimitedClient, scope: string, perSecond: number, burst: number): Entry | undefined {
    if (perSecond === 0) return undefined;
    const key = bucketKey(client, scope, perSecond, burst);
    const entry = this.#entries.get(key) ?? this.#create(key, perSecond, burst);
    if (entry.sessions++ === 0) {
      this.#idle.delete(entry);
      entry.shared?.join();
    }
    return entry;
  }

  #create(key: string, perSecond: number, burst: number): Entry {
    const shared = this.#shared?.bucket(key, perSecond, burst);
    const entry = new Entry(key, shared ?? new TokenBucket(perSecond, burst, this.#now()), shared);
    this.#entries.set(key, entry);
    return entry;
  }

  /** One function for all budgets. */
  readonly #release = ({ messages, bytes }: BudgetEntries, budget?: MessageBudget): void => {
    if (budget !== undefined) this.#live.delete(budget);
    if (messages !== undefined) this.#leave(messages);
    if (bytes !== undefined) this.#leave(bytes);
  };

  #leave(entry: Entry): void {
    if (--entry.sessions > 0) return;
    entry.shared?.leave();
    if (entry.bucket.isFull(this.#now())) this.#entries.delete(entry.key);
    else this.#keepIdle(entry);
  }

  #keepIdle(entry: Entry): void {
    this.#idle.add(entry);
    for (const oldest of oldestBeyond(this.#idle, this.#maxIdle)) {
      this.#idle.delete(oldest);
      this.#entries.delete(oldest.key);
    }
  }
}

interface ScopedRate {
  /** '': shared by all that have no limit of their own. */
  readonly scope: string;
  readonly perSecond: number;
  readonly burst: number;
}

/** What applies on a route: what an operator has set for it, what it says itself, what applies to all. */
function limitsOf(
  config: RateLimitConfig | LimitsInForce,
  route: RouteLimit | undefined,
): { readonly messages: ScopedRate; readonly bytes: ScopedRate } {
  const set = config instanceof LimitsInForce ? config.setting(route?.scope ?? '') : undefined;
  const { perSecond, burst, bytesPerSecond } = config instanceof LimitsInForce ? config.default : config;
  const scope = route?.scope ?? '';
  const own = route === undefined ? undefined : (set ?? route);
  const ownBytes = route === undefined ? undefined : set?.bytesPerSecond;
  return {
    messages: {
      scope: own?.perSecond === undefined ? '' : scope,
      perSecond: own?.perSecond ?? perSecond,
      burst: own?.burst ?? burst,
    },
    bytes: {
      scope: ownBytes === undefined ? '' : scope,
      perSecond: ownBytes ?? bytesPerSecond,
      burst: ownBytes ?? bytesPerSecond,
    },
  };
}
