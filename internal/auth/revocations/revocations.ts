import { fromUnknown } from '../../errors.js';
import { patientTime } from '../../runtime/patient-time.js';
import { Agreement } from '../../store/agreement/agreement.js';
import type { Log } from '../../telemetry/log/log.js';
import type { Lift, RevocableToken, Revocation, RevocationNews } from './revocation.js';
import type { RevocationStore } from './revocation-store.js';
import { RevokedSet, revokedKey } from './revoked-set.js';

export type { Lift, RevocableToken, Revocation, RevocationNews } from './revocation.js';
export { covers } from './revocation.js';

/** One token, all that a subject holds now, or all of one session at the provider. */
export type RevocationTarget =
  | { readonly sub: string; readonly jti: string }
  /** Of whichever issuer, if none is named; likewise below. */
  | { readonly sub: string; readonly all: true; readonly issuer?: string | undefined }
  | { readonly sid: string; readonly issuer?: string };

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
  /** Milliseconds since the epoch, for what is over; default `patientTime`. */
  readonly now?: () => number;
}

/** Characters of subjects and ids remembered at most. */
const MAX_CHARS = 256 * 1024 * 1024;

/**
 * Which tokens are revoked. Looking one up needs no round trip: every process remembers
 * them all (see `Agreement`).
 */
export class Revocations {
  readonly #options: RevocationsOptions;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #revoked: RevokedSet;
  readonly #agreement: Agreement<RevocationNews>;
  readonly #listeners: ((revocation: Revocation) => void)[] = [];
  readonly #liftListeners: ((lift: Lift) => void)[] = [];

  constructor(options: RevocationsOptions) {
    this.#options = options;
    this.#ttlMs = Math.max(1_000, options.ttlMs);
    this.#now = options.now ?? patientTime();
    this.#revoked = new RevokedSet({ entries: options.maxEntries ?? 1_000_000, chars: MAX_CHARS });
    this.#agreement = new Agreement({
      memory: {
        size: () => this.#revoked.size,
        learn: (revocation, from) => this.#hear(revocation, from),
        beginRound: () => this.#revoked.beginRound(),
        unspoken: () => this.#revoked.unspoken(this.#now()),
      },
      list: options.store,
      keyOf: (news) => revokedKey(news.kind === 'lifted' ? news.of : news),
      isOver: ({ expiresAtMs }) => expiresAtMs <= this.#now(),
      what: 'revocations',
      log: options.log,
      onTick: () => this.#sweep(),
    });
  }

  /** Revocations remembered. */
  get size(): number {
    return this.#revoked.size;
  }

  /** Revocations the store has yet to be told. */
  get unsent(): number {
    return this.#agreement.unsent;
  }

  /** Malformed or oversized messages and entries that came from the store. */
  get ignored(): number {
    return this.#agreement.ignored;
  }

  /** Listens to the other processes. Resolves when what they revoked is known, or cannot be within 2 s. */
  start(): Promise<void> {
    return this.#agreement.start();
  }

  stop(): void {
    this.#agreement.stop();
  }

  isRevoked(token: RevocableToken): boolean {
    return this.#revoked.has(token, this.#now());
  }

  /**
   * Calls `listener` for each revocation that newly takes effect, to end what is live of it (see `covers`).
   */
  onRevoked(listener: (revocation: Revocation) => void): void {
    this.#listeners.push(listener);
  }

  /** Calls `listener` for each revocation that is taken back. */
  onLifted(listener: (lift: Lift) => void): void {
    this.#liftListeners.push(listener);
  }

  /**
   * Takes back what was revoked of a target: in this process before it returns, in the others within the
   * store's latency. Sessions that it ended stay ended.
   * @returns as `revoke`; undefined: nothing of it is revoked.
   */
  async lift(target: RevocationTarget): Promise<{ readonly propagated: boolean } | undefined> {
    const expiresAtMs = Date.now() + this.#ttlMs;
    const lifts = [...this.current()]
      .filter((revocation) => isMeant(revocation, target))
      .map((of): Lift => ({ kind: 'lifted', of, expiresAtMs }));
    if (lifts.length === 0) return undefined;
    for (const lift of lifts) this.learn(lift);
    const told = await Promise.all(lifts.map((lift) => this.#agreement.send(lift)));
    return { propagated: told.every((each) => each ?? true) };
  }

  /**
   * Revokes: in this process before it returns, in the others within the store's latency.
   * @returns `propagated` false when a store is configured and could not be told; it
   *   will be, once it is back.
   */
  async revoke(target: RevocationTarget): Promise<{ readonly propagated: boolean }> {
    const nowMs = Date.now();
    const expiresAtMs = nowMs + this.#ttlMs;
    const revocation = revocationOf(target, nowMs, expiresAtMs);
    this.learn(revocation);
    return { propagated: (await this.#agreement.send(revocation)) ?? true };
  }

  /** Takes in what another process said, without passing it on. Returns whether it was news. */
  learn(news: RevocationNews): boolean {
    const nowMs = this.#now();
    // Whatever the list says, nothing is remembered longer than it is here: the sweep relies on it.
    const expiresAtMs = Math.min(news.expiresAtMs, Date.now() + this.#ttlMs);
    if (expiresAtMs <= nowMs) return false;
    if (news.kind === 'lifted') {
      if (!this.#revoked.lift({ ...news, expiresAtMs }, nowMs)) return false;
      this.#tell(this.#liftListeners, news);
      return true;
    }
    if (!this.#revoked.add({ ...news, expiresAtMs }, nowMs)) return false;
    this.#options.counter.inc();
    this.#tell(this.#listeners, news);
    return true;
  }

  #tell<News>(listeners: readonly ((news: News) => void)[], news: News): void {
    for (const listener of listeners) {
      try {
        listener(news);
      } catch (thrown) {
        this.#options.log.error({ err: fromUnknown(thrown) }, 'a revocation could not be carried out');
      }
    }
  }

  /** What is in effect. */
  current(): Iterable<Revocation> {
    return inEffect(this.news());
  }

  /** That and what was taken back, for a process that starts without a store. */
  news(): Iterable<RevocationNews> {
    return this.#revoked.values(this.#now());
  }

  #hear(revocation: RevocationNews, from: 'channel' | 'list'): void {
    // A Go gateway keeps no list: whoever hears it puts it there for those who start later.
    if (this.learn(revocation) && from === 'channel' && revocation.kind === 'joined')
      this.#options.store?.list([revocation]).catch(() => {});
  }

  #sweep(): void {
    const evicted = this.#revoked.sweep(this.#now());
    if (evicted > 0) this.#options.log.error({ evicted }, 'too many revocations: the oldest were forgotten');
  }
}

function* inEffect(all: Iterable<RevocationNews>): Generator<Revocation> {
  for (const news of all) if (news.kind !== 'lifted') yield news;
}

/** Whether a revocation is one of that very target. A joined text stands for the token that it names. */
function isMeant(revocation: Revocation, target: RevocationTarget): boolean {
  if ('sid' in target || 'all' in target) {
    if (revocation.kind !== 'session' && revocation.kind !== 'subject') return false;
    if (target.issuer !== undefined && revocation.issuer !== target.issuer) return false;
    if (revocation.kind === 'session') return 'sid' in target && revocation.sid === target.sid;
    return 'all' in target && revocation.sub === target.sub;
  }
  if (revocation.kind === 'joined') return revocation.text === `${target.sub}:${target.jti}`;
  return revocation.kind === 'token' && revocation.sub === target.sub && revocation.jti === target.jti;
}

/** What a target means from now on. */
export function revocationOf(target: RevocationTarget, nowMs: number, expiresAtMs: number): Revocation {
  if ('sid' in target) return { kind: 'session', sid: target.sid, issuer: target.issuer, expiresAtMs };
  if ('jti' in target) return { kind: 'token', sub: target.sub, jti: target.jti, expiresAtMs };
  return { kind: 'subject', sub: target.sub, issuer: target.issuer, issuedUntilMs: nowMs, expiresAtMs };
}
