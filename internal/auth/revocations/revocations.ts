import { setTimeout as pause } from 'node:timers/promises';
import { fromUnknown } from '../../errors.js';
import type { Log } from '../../telemetry/log.js';
import { Inquiry } from './inquiry.js';
import { Outbox } from './outbox.js';
import type { PeerCall } from './peer-call.js';
import type { RevocableToken, Revocation } from './revocation.js';
import type { RevocationStore } from './revocation-store.js';
import { RevokedSet } from './revoked-set.js';

export type { RevocableToken, Revocation } from './revocation.js';
export { covers } from './revocation.js';

/** One token, or all that a subject holds now. */
export type RevocationTarget =
  | { readonly sub: string; readonly jti: string }
  | { readonly sub: string; readonly all: true };

export interface RevocationsOptions {
  /** How long a revocation is remembered; at least a second. */
  readonly ttlMs: number;
  readonly log: Log;
  /** Shares revocations with other processes; undefined: this process alone. */
  readonly store: RevocationStore | undefined;
  /** `ws_revocations_total`: each revocation once, however it came. */
  readonly counter: { inc(): void };
  /** Revocations remembered at most, default 1,000,000; past that the oldest are forgotten. */
  readonly maxEntries?: number;
}

const TICK_MS = 1_000;
/** The whole list is loaded this often although nothing seems missed: a cluster's bus can lose a publication unseen. */
const RELOAD_TICKS = 60;
/** After a gap it is loaded once more, when the others have put back what a store without memory lost. */
const RELOAD_TICKS_AFTER_GAP = 5;
const RELOAD_TICKS_AFTER_FAILURE = 2;
/** Revocations put back on the list at once. */
const LIST_BATCH = 500;
/** A start-up waits this long for the list, and for others to complete it. */
const START_LIMIT_MS = 2_000;
/** Characters of subjects and ids remembered at most. */
const MAX_CHARS = 256 * 1024 * 1024;

/**
 * Which tokens are revoked. Looking one up needs no round trip: every process remembers them all, hears of new ones over
 * the store's channel, and after a gap loads what it missed.
 */
export class Revocations {
  readonly #options: RevocationsOptions;
  readonly #ttlMs: number;
  readonly #revoked: RevokedSet;
  readonly #outbox: Outbox | undefined;
  readonly #listeners: ((revocation: Revocation) => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #loading: Promise<boolean> | undefined;
  #loadAgain: Promise<boolean> | undefined;
  #ticksToReload = RELOAD_TICKS;
  #inquiry: Inquiry | undefined;
  #ignored = 0;
  #ignoredReported = 0;

  constructor(options: RevocationsOptions) {
    this.#options = options;
    this.#ttlMs = Math.max(1_000, options.ttlMs);
    this.#revoked = new RevokedSet({ entries: options.maxEntries ?? 1_000_000, chars: MAX_CHARS });
    this.#outbox = options.store && new Outbox(options.store, options.log);
  }

  /** Revocations remembered. */
  get size(): number {
    return this.#revoked.size;
  }

  /** Revocations the store has yet to be told. */
  get unsent(): number {
    return this.#outbox?.size ?? 0;
  }

  /** Malformed or oversized messages and entries that came from the store. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Listens to the other processes. Resolves when what they revoked is known, or can not be learned within 2 s. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
    const { store } = this.#options;
    if (store === undefined) return;
    const loaded = new Promise<void>((resolve) => {
      store.listen({
        onRevocation: (revocation) => this.#hear(revocation),
        onIgnored: () => void this.#ignored++,
        onGap: () => {
          this.#ticksToReload = RELOAD_TICKS_AFTER_GAP;
          void this.#load().then(() => resolve());
        },
        onCall: (call) => this.#heed(call, store),
      });
    });
    store.onChange((up) => {
      if (up) void this.#outbox?.flush();
    });
    if (!store.up) return;
    const endMs = performance.now() + START_LIMIT_MS;
    const complete = loaded.then(() => this.#askOthers(store, endMs));
    await Promise.race([complete, pause(START_LIMIT_MS, undefined, { ref: false })]);
  }

  /** The list may have lost what the others remember: they put it back before this process serves anybody. */
  async #askOthers(store: RevocationStore, endMs: number): Promise<void> {
    const inquiry = new Inquiry(store);
    this.#inquiry = inquiry;
    const answered = await inquiry.ask(endMs - performance.now()).catch(() => false);
    if (answered) await this.#load();
  }

  #heed(call: PeerCall, store: RevocationStore): void {
    if (call.kind === 'answer') {
      if (call.id === this.#inquiry?.id) this.#inquiry.answered();
    } else if (call.kind === 'put-back') {
      // At the next tick, not at once: two that never agree must not keep each other loading.
      this.#ticksToReload = 1;
    } else if (call.id !== this.#inquiry?.id) {
      this.#answer(call.id, store).catch(() => {});
    }
  }

  async #answer(id: string, store: RevocationStore): Promise<void> {
    // As a rule all is there, and nobody has to load it for each process that starts.
    if ((await store.count()) >= this.#revoked.size || (await this.#load()))
      await store.call({ kind: 'answer', id });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  isRevoked(token: RevocableToken): boolean {
    return this.#revoked.has(token, Date.now());
  }

  /** Calls `listener` for each revocation that newly takes effect, to end what is live of it (see `covers`). */
  onRevoked(listener: (revocation: Revocation) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Revokes: in this process before it returns, in the others within the store's latency.
   * @returns `propagated` false when a store is configured and could not be told; it will be, once it is back.
   */
  async revoke(target: RevocationTarget): Promise<{ readonly propagated: boolean }> {
    const nowMs = Date.now();
    const expiresAtMs = nowMs + this.#ttlMs;
    const revocation: Revocation =
      'jti' in target
        ? { kind: 'token', sub: target.sub, jti: target.jti, expiresAtMs }
        : { kind: 'subject', sub: target.sub, issuedUntilMs: nowMs, expiresAtMs };
    this.learn(revocation);
    return { propagated: (await this.#outbox?.send(revocation)) ?? true };
  }

  /** Takes in what another process said, without passing it on. Returns whether it was news. */
  learn(revocation: Revocation): boolean {
    const nowMs = Date.now();
    // Whatever the list says, nothing is remembered longer than it is here: the sweep relies on it.
    const expiresAtMs = Math.min(revocation.expiresAtMs, nowMs + this.#ttlMs);
    if (expiresAtMs <= nowMs || !this.#revoked.add({ ...revocation, expiresAtMs }, nowMs)) return false;
    this.#options.counter.inc();
    for (const listener of this.#listeners) {
      try {
        listener(revocation);
      } catch (thrown) {
        this.#options.log.error({ err: fromUnknown(thrown) }, 'a revocation could not be carried out');
      }
    }
    return true;
  }

  /** What is in effect, for a process that starts without a store. */
  current(): Iterable<Revocation> {
    return this.#revoked.values(Date.now());
  }

  #hear(revocation: Revocation): void {
    // A Go gateway keeps no list: whoever hears it puts it there for those who start later.
    if (this.learn(revocation) && revocation.kind === 'joined')
      this.#options.store?.list([revocation]).catch(() => {});
  }

  /** Loads the list; asked again meanwhile, once more after that. Resolves to whether this process and the list agree now. */
  async #load(): Promise<boolean> {
    const under = this.#loading;
    if (under !== undefined) {
      this.#loadAgain ??= under.then(() => this.#load());
      return this.#loadAgain;
    }
    this.#loadAgain = undefined;
    this.#loading = this.#loadOnce().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadOnce(): Promise<boolean> {
    const { store, log } = this.#options;
    this.#revoked.beginRound();
    try {
      await store?.load({
        onRevocation: (revocation) => void this.learn(revocation),
        onIgnored: () => void this.#ignored++,
      });
    } catch (thrown) {
      log.warn({ reason: fromUnknown(thrown).message }, 'revocations could not be loaded, trying again');
      this.#ticksToReload = RELOAD_TICKS_AFTER_FAILURE;
      return false;
    }
    try {
      await this.#putBack();
      return true;
    } catch {
      this.#ticksToReload = RELOAD_TICKS_AFTER_FAILURE;
      return false;
    }
  }

  /** A store can lose what it held (a restart without a disk, a failover): those who remember put it back. */
  async #putBack(): Promise<void> {
    const { store } = this.#options;
    const lost = [...this.#revoked.unspoken(Date.now())];
    for (let i = 0; i < lost.length; i += LIST_BATCH) await store?.list(lost.slice(i, i + LIST_BATCH));
    // Another process may have missed them on the channel and have loaded the list while they were not on it.
    if (lost.length > 0) await store?.call({ kind: 'put-back' });
  }

  #tick(): void {
    const { store, log } = this.#options;
    const evicted = this.#revoked.sweep(Date.now());
    if (evicted > 0) log.error({ evicted }, 'too many revocations: the oldest were forgotten');
    if (this.#ignored > this.#ignoredReported) {
      log.warn({ ignored: this.#ignored - this.#ignoredReported }, 'malformed revocations were ignored');
      this.#ignoredReported = this.#ignored;
    }
    if (store?.up !== true) return;
    void this.#outbox?.flush();
    if (--this.#ticksToReload > 0) return;
    this.#ticksToReload = RELOAD_TICKS;
    void this.#load();
  }
}
