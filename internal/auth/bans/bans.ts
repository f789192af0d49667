import { randomUUID } from 'node:crypto';
import { patientTime } from '../../runtime/patient-time.js';
import type { SharedRecord } from '../../store/records/record.js';
import { type RecordList, SharedRecords } from '../../store/records/shared-records.js';
import type { Log } from '../../telemetry/log/log.js';
import { type Ban, isActive, parseBan } from './ban.js';

export type { Ban } from './ban.js';

export interface BansOptions {
  /** Shares bans with other processes; undefined: this process alone. */
  readonly list: RecordList | undefined;
  readonly log: Log;
  /** `ws_bans_total`: counts each ban once, whichever way it came. */
  readonly counter: { inc(): void };
  /** Most ended bans that are remembered, default 10,000; the oldest are forgotten first. */
  readonly maxEnded?: number;
  /** Milliseconds since the epoch, for what has ended; default `patientTime`. */
  readonly now?: () => number;
}

/** How long a ban is remembered after its end. */
const HISTORY_MS = 90 * 86_400_000;

/** The banned subjects. A look-up needs no round trip, as each process knows all bans (`SharedRecords`). */
export class Bans {
  readonly #records: SharedRecords<Ban>;
  readonly #counter: { inc(): void };
  readonly #maxEnded: number;
  readonly #now: () => number;
  /** Bans that may be in force, by subject. */
  readonly #bySub = new Map<string, Map<string, Ban>>();
  readonly #listeners: ((sub: string) => void)[] = [];

  constructor({ list, log, counter, maxEnded = 10_000, now = patientTime() }: BansOptions) {
    this.#counter = counter;
    this.#maxEnded = maxEnded;
    this.#now = now;
    this.#records = new SharedRecords({
      what: 'bans',
      parse: parseBan,
      list,
      log,
      onTick: () => this.#sweep(),
    });
    this.#records.onChange((record) => this.#file(record));
  }

  /** As shared with others. */
  get records(): Pick<SharedRecords<Ban>, 'learn' | 'onChange' | typeof Symbol.iterator> {
    return this.#records;
  }

  /** Bans and lifted bans that have not reached the store yet. */
  get unsent(): number {
    return this.#records.unsent;
  }

  /** Malformed or oversized messages and entries that came from the store. */
  get ignored(): number {
    return this.#records.ignored;
  }

  /** Resolves when the bans of other processes are known, or can not be learned within a second. */
  start(): Promise<void> {
    return this.#records.start();
  }

  stop(): void {
    this.#records.stop();
  }

  isBanned(sub: string): boolean {
    const bans = this.#bySub.get(sub);
    if (bans === undefined) return false;
    const nowMs = this.#now();
    for (const ban of bans.values()) if (isActive(ban, nowMs)) return true;
    return false;
  }

  /** Calls `listener` with each subject that is newly banned, to end its sessions and exchanges. */
  onBanned(listener: (sub: string) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Bans a subject: in this process before it returns, in the others within the store's latency. It replaces
   * the subject's ban in force, if there is one.
   * @param untilMs since the epoch; Infinity: until it is lifted.
   * @returns `persisted` false when no store keeps it (yet).
   */
  async ban(
    sub: string,
    reason: string | undefined,
    untilMs: number,
  ): Promise<{ readonly ban: Ban; readonly persisted: boolean }> {
    const replaced = this.#activeOf(sub);
    const ban: Ban = { sub, reason, createdMs: Date.now(), untilMs, liftedMs: undefined };
    // The new one first: there is no moment without a ban.
    const told = [this.#put(randomUUID(), ban), ...this.#lift(replaced)];
    return { ban, persisted: (await Promise.all(told)).every(Boolean) };
  }

  /**
   * Ends the ban of a subject.
   * @returns undefined when none is in force; else whether a store has recorded it.
   */
  async lift(sub: string): Promise<{ readonly persisted: boolean } | undefined> {
    const active = this.#activeOf(sub);
    if (active.length === 0) return undefined;
    return { persisted: (await Promise.all(this.#lift(active))).every(Boolean) };
  }

  /** Bans in force and ended ones, in no order. */
  *all(): Generator<Ban> {
    for (const { value } of this.#records) yield value;
  }

  #activeOf(sub: string): (readonly [string, Ban])[] {
    const nowMs = this.#now();
    return [...(this.#bySub.get(sub) ?? [])].filter(([, ban]) => isActive(ban, nowMs));
  }

  #lift(bans: readonly (readonly [string, Ban])[]): Promise<boolean>[] {
    const liftedMs = Date.now();
    return bans.map(([id, ban]) => this.#put(id, { ...ban, liftedMs }));
  }

  #put(id: string, ban: Ban): Promise<boolean> {
    return this.#records.put(id, ban, Math.min(ban.untilMs, ban.liftedMs ?? ban.untilMs) + HISTORY_MS);
  }

  #file({ key, value: ban }: SharedRecord<Ban>): void {
    const bans = this.#bySub.get(ban.sub);
    if (!isActive(ban, this.#now())) {
      bans?.delete(key);
      if (bans?.size === 0) this.#bySub.delete(ban.sub);
      return;
    }
    if (bans === undefined) this.#bySub.set(ban.sub, new Map([[key, ban]]));
    else bans.set(key, ban);
    this.#counter.inc();
    for (const listener of this.#listeners) listener(ban.sub);
  }

  /** Removes expired bans from the look-up, and the oldest ended ones if there are too many. */
  #sweep(): void {
    const nowMs = this.#now();
    const ended: { readonly key: string; readonly endMs: number }[] = [];
    for (const { key, value } of this.#records) {
      if (isActive(value, nowMs)) continue;
      ended.push({ key, endMs: value.liftedMs ?? value.untilMs });
      const bans = this.#bySub.get(value.sub);
      if (bans?.delete(key) === true && bans.size === 0) this.#bySub.delete(value.sub);
    }
    if (ended.length <= this.#maxEnded) return;
    ended.sort((a, b) => a.endMs - b.endMs);
    for (const { key } of ended.slice(0, ended.length - this.#maxEnded)) this.#records.forget(key);
  }
}
