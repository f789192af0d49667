import type { Log } from '../telemetry/log/log.js';
import { backoffMs } from './backoff.js';

/** Interval of the probes while the store is up. */
const CHECK_INTERVAL_MS = 2_000;
/**
 * A store that fails again within this time after it came back, though each probe succeeded, has relapsed.
 */
const RELAPSE_MS = 10_000;
/** After this many relapses in a row the pause grows no further: 4 to 8 s. */
const MAX_RELAPSES = 4;

export interface AvailabilityOptions {
  /** The `dependency` of log lines and of `ws_dependency_up`. */
  readonly dependency: 'redis' | 'postgres';
  readonly log: Log;
  /**
   * Resolves when the store answers and accepts writes; must settle by itself, within about a second or the
   * time of a migration.
   */
  readonly probe: () => Promise<unknown>;
  /** The code of a failed probe for the log; never a server's text, which can quote credentials. */
  readonly reasonOf: (thrown: unknown) => string;
}

/**
 * Whether a store can be used. It is down from the first failure on, and up again only after a probe has
 * succeeded; one warning is logged when it goes down and one line when it comes back, however many requests
 * notice.
 */
export class Availability {
  readonly #options: AvailabilityOptions;
  readonly #listeners: ((up: boolean) => void)[] = [];
  readonly #wholeListeners: ((whole: boolean) => void)[] = [];
  #missing: readonly string[] = [];
  #state: 'unknown' | 'up' | 'down' | 'stopped' = 'unknown';
  #timer: NodeJS.Timeout | undefined;
  #probing: Promise<void> | undefined;
  #failures = 0;
  /** Whether a probe, too, has failed since the store went down. */
  #confirmed = true;
  #backMs = Number.NEGATIVE_INFINITY;
  #relapses = 0;

  constructor(options: AvailabilityOptions) {
    this.#options = options;
  }

  get up(): boolean {
    return this.#state === 'up';
  }

  /** Calls `listener` now and at every change. */
  onChange(listener: (up: boolean) => void): void {
    this.#listeners.push(listener);
    listener(this.up);
  }

  /** Calls `listener` now and at every change with whether the store is up and refuses nothing. */
  onWholeChange(listener: (whole: boolean) => void): void {
    this.#wholeListeners.push(listener);
    listener(this.whole);
  }

  /** Whether the store is up and the gateway has all rights that it needs. */
  get whole(): boolean {
    return this.up && this.#missing.length === 0;
  }

  /** Rights that the gateway needs and does not have; logged whenever they change. */
  get missing(): readonly string[] {
    return this.#missing;
  }

  /** What was found to be missing now; empty: nothing. */
  lacks(missing: readonly string[]): void {
    const before = this.#missing;
    if (missing.length === before.length && missing.every((right) => before.includes(right))) return;
    this.#missing = missing;
    const { dependency, log } = this.#options;
    if (missing.length > 0)
      log.warn({ dependency, missing }, 'rights are missing: a part of the work is refused');
    else log.info({ dependency }, 'no right is missing any more');
    this.#tellWhole();
  }

  #tellWhole(): void {
    for (const listener of this.#wholeListeners) listener(this.whole);
  }

  /** Probes now, and then regularly. Resolves when this probe, or the one under way, is over. */
  check(): Promise<void> {
    if (this.#state === 'stopped') return Promise.resolve();
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = undefined;
      this.#scheduleCheck();
    });
    return this.#probing;
  }

  /** A request found the store failing. */
  failed(reason: string): void {
    if (!this.up) return;
    // A probe may not notice what requests wait for (e.g. a locked table): the store would go down and up
    // again and again.
    const relapsed = !this.#confirmed && performance.now() - this.#backMs < RELAPSE_MS;
    this.#relapses = relapsed ? Math.min(this.#relapses + 1, MAX_RELAPSES) : 0;
    this.#confirmed = false;
    this.#failures = 1;
    this.#become('down', reason);
    this.#scheduleCheck();
  }

  stop(): void {
    this.#state = 'stopped';
    clearTimeout(this.#timer);
  }

  async #probe(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      await this.#options.probe();
      this.#failures = 0;
      this.#become('up');
    } catch (thrown) {
      this.#failures++;
      this.#confirmed = true;
      this.#relapses = 0;
      this.#become('down', this.#options.reasonOf(thrown));
    }
  }

  #become(state: 'up' | 'down', reason?: string): void {
    const before = this.#state;
    if (before === state || before === 'stopped') return;
    this.#state = state;
    if (state === 'up') this.#backMs = performance.now();
    const { dependency, log } = this.#options;
    if (state === 'down') log.warn({ dependency, reason }, 'store is down, going on without it');
    else if (before === 'down') log.info({ dependency }, 'store is back');
    for (const listener of this.#listeners) listener(this.up);
    this.#tellWhole();
  }

  #scheduleCheck(): void {
    if (this.#probing || this.#state === 'stopped') return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.check(), this.#checkInMs).unref();
  }

  get #checkInMs(): number {
    if (this.up) return CHECK_INTERVAL_MS;
    if (this.#relapses > 0) return this.#relapses * backoffMs(Number.POSITIVE_INFINITY);
    return backoffMs(Math.max(1, this.#failures));
  }
}
