import { setTimeout as pause } from 'node:timers/promises';
import { fromUnknown } from '../../errors.js';
import type { Log } from '../../telemetry/log/log.js';
import { Inquiry } from './inquiry.js';
import { Outbox } from './outbox.js';
import type { PeerCall } from './peer-call.js';
import type { SharedList } from './shared-list.js';

/** One process' memory of the entries that all agree on. */
export interface Memory<Entry> {
  /** Takes in what another process said, on the channel or when it put it on the list. */
  learn(entry: Entry, from: 'channel' | 'list'): void;
  /** Entries remembered. */
  size(): number;
  /** Begins a round: `unspoken` then yields what was not learned again. */
  beginRound(): void;
  /** What is remembered and valid but was not learned again in this round. */
  unspoken(): Iterable<Entry>;
}

/** What one kind of entry is agreed on with. */
export interface AgreementOptions<Entry> {
  readonly memory: Memory<Entry>;
  /** undefined: this process is alone. */
  readonly list: SharedList<Entry> | undefined;
  /** Entries of one key replace each other. */
  readonly keyOf: (entry: Entry) => string;
  /** Whether an entry is no longer worth telling. */
  readonly isOver: (entry: Entry) => boolean;
  /** What entries are called in the log, in the plural. */
  readonly what: string;
  readonly log: Log;
  /** Called every second. */
  readonly onTick?: () => void;
}

const TICK_MS = 1_000;
/**
 * The whole list is loaded this often although nothing seems missed: a cluster's bus can
 * lose a publication unseen.
 */
const RELOAD_TICKS = 60;
/** After a gap it is loaded once more, when the others have put back what a store without memory lost. */
const RELOAD_TICKS_AFTER_GAP = 5;
const RELOAD_TICKS_AFTER_FAILURE = 2;
/** Entries put back on the list at once. */
const LIST_BATCH = 500;
/** A start-up waits this long for the list, and for others to complete it. */
const START_LIMIT_MS = 2_000;

/**
 * Keeps the memory of one process equal to that of all others: receives what is new over the store's channel,
 * loads the list after a gap, retries what the store could not be told, and puts back what the store has
 * lost.
 */
export class Agreement<Entry> {
  readonly #options: AgreementOptions<Entry>;
  readonly #outbox: Outbox<Entry> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #loading: Promise<boolean> | undefined;
  #loadAgain: Promise<boolean> | undefined;
  #inquiry: Inquiry | undefined;
  #ticksToReload = RELOAD_TICKS;
  #ignored = 0;
  #ignoredReported = 0;

  constructor(options: AgreementOptions<Entry>) {
    this.#options = options;
    const { list, keyOf, isOver, what, log } = options;
    this.#outbox = list && new Outbox({ tell: (entry) => list.tell(entry), keyOf, isOver, what, log });
  }

  /** Entries the store has yet to be told. */
  get unsent(): number {
    return this.#outbox?.size ?? 0;
  }

  /** Malformed or oversized messages and entries that came from the store. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Listens to the others. Resolves when what they agreed on is known, or can not be learned within 2 s. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
    const { list, memory } = this.#options;
    if (list === undefined) return;
    const loaded = new Promise<void>((resolve) => {
      list.listen({
        onEntry: (entry) => memory.learn(entry, 'channel'),
        onIgnored: () => void this.#ignored++,
        onGap: () => {
          this.#ticksToReload = RELOAD_TICKS_AFTER_GAP;
          void this.#load().then(() => resolve());
        },
        onCall: (call) => this.#heed(call, list),
      });
    });
    list.onChange((up) => {
      if (up) void this.#outbox?.flush();
    });
    if (!list.up) return;
    const endMs = performance.now() + START_LIMIT_MS;
    const complete = loaded.then(() => this.#askOthers(list, endMs));
    await Promise.race([complete, pause(START_LIMIT_MS, undefined, { ref: false })]);
  }

  /** The list may have lost what the others remember: they put it back before this process serves anybody. */
  async #askOthers(list: SharedList<Entry>, endMs: number): Promise<void> {
    const inquiry = new Inquiry((call) => list.call(call));
    this.#inquiry = inquiry;
    const answered = await inquiry.ask(endMs - performance.now()).catch(() => false);
    if (answered) await this.#load();
  }

  #heed(call: PeerCall, list: SharedList<Entry>): void {
    if (call.kind === 'answer') {
      if (call.id === this.#inquiry?.id) this.#inquiry.answered();
    } else if (call.kind === 'put-back') {
      // At the next tick, not at once, so that two processes which never agree do not keep each other
      // loading.
      this.#ticksToReload = 1;
    } else if (call.id !== this.#inquiry?.id) {
      this.#answer(call.id, list).catch(() => {});
    }
  }

  async #answer(id: string, list: SharedList<Entry>): Promise<void> {
    // As a rule all is there, and nobody has to load it for each process that starts.
    const listed = await list.count?.();
    const complete = listed !== undefined && listed >= this.#options.memory.size();
    if (complete || (await this.#load())) await list.call({ kind: 'answer', id });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Tells the store, now or when it is back. @returns whether it was told now; undefined: there is none. */
  async send(entry: Entry): Promise<boolean | undefined> {
    return this.#outbox?.send(entry);
  }

  /**
   * Loads the list; asked again meanwhile, once more after that. Resolves to whether this
   * process and the list agree now.
   */
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
    const { list, log, memory, what } = this.#options;
    memory.beginRound();
    try {
      await list?.load({
        onEntry: (entry) => memory.learn(entry, 'list'),
        onIgnored: () => void this.#ignored++,
      });
    } catch (thrown) {
      log.warn({ reason: fromUnknown(thrown).message }, `${what} could not be loaded, trying again`);
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
    const { list, memory } = this.#options;
    const lost = [...memory.unspoken()];
    for (let i = 0; i < lost.length; i += LIST_BATCH) await list?.list(lost.slice(i, i + LIST_BATCH));
    // Another process may have missed them on the channel and have loaded the list while they were not on it.
    if (lost.length > 0) await list?.call({ kind: 'put-back' });
  }

  #tick(): void {
    const { list, log, onTick, what } = this.#options;
    onTick?.();
    if (this.#ignored > this.#ignoredReported) {
      log.warn({ ignored: this.#ignored - this.#ignoredReported }, `malformed ${what} were ignored`);
      this.#ignoredReported = this.#ignored;
    }
    if (list?.up !== true) return;
    void this.#outbox?.flush();
    if (--this.#ticksToReload > 0) return;
    this.#ticksToReload = RELOAD_TICKS;
    void this.#load();
  }
}
