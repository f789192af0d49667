import { hash } from 'node:crypto';
import { ConnectionLimit } from '../connection-limit.js';
import { LEASE_MS, type SlotStore } from './slot-store.js';

/** Interval at which slots are renewed: a few times before they would be lost. */
const RENEW_MS = LEASE_MS / 3;

/**
 * Limits the sessions of a token (MAX_SESSIONS_PER_TOKEN), in this process and in all that share a store.
 * While the store does not answer, only this process' sessions count; those admitted meanwhile are recorded
 * when it answers again.
 */
export class TokenSlots {
  readonly #local: ConnectionLimit;
  /** Sessions by the key of their token. */
  readonly #held = new Map<string, Set<string>>();
  /** Requests for a slot that are under way, by key and session. */
  readonly #asking = new Set<string>();
  readonly #leaving = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #renewing: boolean = false;

  /**
   * @param limit 0: no limit, and the store is not used.
   * @param store undefined: this process counts for itself.
   */
  constructor(
    readonly limit: number,
    readonly store?: SlotStore | undefined,
  ) {
    this.#local = new ConnectionLimit(limit);
  }

  start(): void {
    if (this.store === undefined || this.limit === 0) return;
    this.#timer = setInterval(() => void this.renew(), RENEW_MS).unref();
    // One that comes back may come back empty: who is asked before it knows better lets too many in.
    this.store.onChange?.((up) => {
      if (up) void this.renew();
    });
  }

  /** Resolves when the slots that were given back have been sent. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#leaving);
  }

  /**
   * Counts one more session of a token in this process.
   * @returns false, and counts nothing, when it has as many as it may.
   */
  tryEnter(token: string): boolean {
    return this.#local.tryEnter(token);
  }

  /**
   * Likewise over all processes, for a session that has entered here.
   * @returns undefined: there is nobody else to ask.
   */
  confirm(token: string, session: string): Promise<boolean> | undefined {
    if (this.store === undefined || this.limit === 0) return undefined;
    return this.#confirm(this.store, keyOf(token), session);
  }

  async #confirm(store: SlotStore, key: string, session: string): Promise<boolean> {
    const question = key + session;
    this.#asking.add(question);
    const isFree = await store.take(key, session, this.limit).catch(() => true);
    // Gone meanwhile: nobody else would give it back.
    if (!this.#asking.delete(question)) this.#giveBack(store, key, session);
    else if (isFree) this.#hold(key, session);
    return isFree;
  }

  #hold(key: string, session: string): void {
    const sessions = this.#held.get(key);
    if (sessions === undefined) this.#held.set(key, new Set([session]));
    else sessions.add(session);
  }

  /** Undoes one `tryEnter` that returned true, and what was confirmed after it. */
  leave(token: string, session: string): void {
    this.#local.leave(token);
    if (this.store === undefined || this.limit === 0) return;
    const key = keyOf(token);
    this.#asking.delete(key + session);
    const sessions = this.#held.get(key);
    if (sessions?.delete(session) !== true) return;
    if (sessions.size === 0) this.#held.delete(key);
    this.#giveBack(this.store, key, session);
  }

  /** What cannot be given back now ends with its lease. */
  #giveBack(store: SlotStore, key: string, session: string): void {
    const leaving = store
      .leave(key, session)
      .catch(() => {})
      .finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  /** Never rejects; the timer calls it. */
  async renew(): Promise<void> {
    if (this.store === undefined || this.#renewing || this.#held.size === 0) return;
    this.#renewing = true;
    await this.store.renew(this.#held).catch(() => {});
    this.#renewing = false;
  }
}

/** Fit for any store, whatever a token says. */
function keyOf(token: string): string {
  return hash('sha256', token, 'base64url');
}
