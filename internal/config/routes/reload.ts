import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { fromUnknown } from '../../errors.js';
import type { RouteTable } from '../config.js';
import type { Problem } from '../problem.js';
import type { FileText } from '../text-file.js';
import { type RoutesSource, readRoutesFile, routesFrom } from './file.js';
import { isFallback } from './table.js';
import { tableProblemsInTurns } from './target-table.js';

/** Interval at which the file is read while nothing happens. */
const POLL_MS = 500;
/** How long a change must stay the same before it is applied, as the file may still be being written. */
const SETTLE_MS = 100;

export interface RouteReloaderOptions {
  readonly source: RoutesSource;
  /** The table in effect. */
  readonly table: RouteTable;
  /** A new table that differs from the one in effect. If it throws, the table in effect stays. */
  readonly onTable: (table: RouteTable) => void | Promise<void>;
  /**
   * The file is not valid; the table in effect stays. Called once for each bad state of the file, and for
   * each `reload`.
   */
  readonly onProblems: (problems: readonly Problem[]) => void;
}

export interface ReloadResult {
  readonly outcome: 'changed' | 'unchanged' | 'rejected';
  /** Empty unless rejected. */
  readonly problems: readonly Problem[];
}

/**
 * Follows the routes file: a change, an atomic rename over it, or the swap of a symbolic link on the way to
 * it is in effect within 2 s. The file is read again on a short period, because a watch misses links that
 * lead elsewhere, network file systems and exhausted inotify limits; a watch on its directory only makes
 * the next read come sooner.
 */
export class RouteReloader {
  readonly #options: RouteReloaderOptions;
  #table: RouteTable;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: boolean = false;
  #nudged: boolean = false;
  /** The state of the file that was handled last, and one that is waiting to settle. */
  #taken: string | undefined;
  #settling: string | undefined;
  /** The last step; each begins when the one before it has ended. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: RouteReloaderOptions) {
    this.#options = options;
    this.#table = options.table;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#watcher = this.#watch();
    this.#schedule(SETTLE_MS);
  }

  /** Ends the watch and waits for a reload that is under way. No callback is called afterwards. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#watcher?.close();
    this.#watcher = undefined;
    clearTimeout(this.#timer);
    await this.#tail;
  }

  /**
   * Reads the file, and the TLS files it names, now (SIGHUP), whether `start` was called or not. The
   * callbacks are called as for a change that was noticed.
   */
  reload(): Promise<ReloadResult> {
    return this.#inTurn(async () => this.#take(await readRoutesFile(this.#options.source)));
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(step);
    this.#tail = done.catch(() => undefined);
    return done;
  }

  #watch(): FSWatcher | undefined {
    try {
      const watcher = watch(dirname(this.#options.source.file), { persistent: false }, () => this.#nudge());
      watcher.on('error', () => watcher.close());
      return watcher;
    } catch {
      return undefined;
    }
  }

  /** Brings the next read forward, once: events that keep coming must not push it back. */
  #nudge(): void {
    if (this.#nudged || !this.#running) return;
    this.#nudged = true;
    this.#schedule(SETTLE_MS);
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#nudged = false;
      this.#inTurn(() => this.#poll()).then(
        (settling) => this.#scheduleNext(settling),
        () => this.#scheduleNext(false),
      );
    }, delayMs);
    this.#timer.unref();
  }

  #scheduleNext(settling: boolean): void {
    if (this.#running) this.#schedule(settling || this.#nudged ? SETTLE_MS : POLL_MS);
  }

  /** @returns whether a change is waiting to settle. */
  async #poll(): Promise<boolean> {
    const read = await readRoutesFile(this.#options.source);
    if (!this.#running) return false;
    const state = stateOf(read);
    const isNew = state !== this.#taken;
    const settled = state === this.#settling;
    this.#settling = isNew ? state : undefined;
    if (!isNew || !settled) return isNew;
    await this.#take(read);
    return false;
  }

  async #take(read: FileText): Promise<ReloadResult> {
    this.#taken = stateOf(read);
    this.#settling = undefined;
    // The old table stays when the file goes away, even one that could have been missing at
    // the start (SPEC section 15).
    const mustExist = this.#table.routes.some((route) => !isFallback(route));
    const { source } = this.#options;
    const result = routesFrom(read, mustExist ? { ...source, fileGiven: true } : source);
    if ('problems' in result) return this.#reject(result.problems);
    if (isDeepStrictEqual(result.table.routes, this.#table.routes))
      return { outcome: 'unchanged', problems: [] };
    try {
      const tables = await tableProblemsInTurns(result.table.routes);
      if (tables.length > 0) return this.#reject(tables);
      await this.#options.onTable(result.table);
    } catch (error) {
      const { message } = fromUnknown(error);
      return this.#reject([{ name: source.file, message: `could not be put in effect: ${message}` }]);
    }
    this.#table = result.table;
    return { outcome: 'changed', problems: [] };
  }

  #reject(problems: readonly Problem[]): ReloadResult {
    this.#options.onProblems(problems);
    return { outcome: 'rejected', problems };
  }
}

/** Tells states of the file apart. */
function stateOf(read: FileText): string {
  return 'text' in read ? `text ${read.text}` : `fault ${read.fault}`;
}
