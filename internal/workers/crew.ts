import { setTimeout as pause } from 'node:timers/promises';
import { fromUnknown } from '../errors.js';
import type { Log } from '../telemetry/log/log.js';
import type { SupervisorDuties, WorkerDuties } from './duties.js';
import type { Answer, Arguments } from './link.js';
import { Watch } from './watch.js';
import { WorkerProcess } from './worker-process.js';

/** The parts of a crew, and its callbacks. */
export interface CrewParts {
  /** Path of the program that calls `runWorker`. */
  readonly entry: string;
  readonly log: Log;
  /** Answers to the questions of a worker. */
  readonly dutiesFor: (worker: WorkerProcess) => SupervisorDuties;
  /** Assigns a forked worker its configuration. Resolves when it serves clients. */
  readonly bringUp: (worker: WorkerProcess) => Promise<void>;
  /** `ws_workers_replaced_total`. */
  readonly replaced: { inc(): void };
  /** A worker has ended. */
  readonly onEnd: (worker: WorkerProcess) => void;
  /** Interval of the liveness check, for tests. */
  readonly roundMs?: number;
}

/** A worker that does not answer so long is left out of an answer. */
export const WORKER_ANSWER_MS = 1_000;
/** Pause before the first replacement, and the longest pause before later ones in a row. */
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 10_000;
/** A worker that has run this long did not fail at its start. */
const STABLE_MS = 30_000;

/** The worker processes: forks them, and replaces those that end unexpectedly or hang. */
export class Crew {
  readonly #parts: CrewParts;
  readonly #workers = new Set<WorkerProcess>();
  readonly #dismissed = new AbortController();
  readonly #watch: Watch;

  constructor(parts: CrewParts) {
    this.#parts = parts;
    this.#watch = new Watch(() => this.#workers, parts.log, parts.roundMs);
  }

  /**
   * Resolves when `size` workers serve clients, or some were dismissed meanwhile.
   * @throws Error with what kept a worker from starting.
   */
  async start(size: number): Promise<void> {
    const workers = Array.from({ length: size }, (_, index) => this.#fork(index + 1));
    try {
      await Promise.all(workers.map((worker) => this.#bringUp(worker)));
    } catch (thrown) {
      if (!this.#dismissed.signal.aborted) throw thrown;
    }
    for (const worker of workers) void this.#keepUp(worker);
    if (!this.#dismissed.signal.aborted) this.#watch.start();
  }

  /** Workers that have their assignment. */
  members(except?: WorkerProcess): readonly WorkerProcess[] {
    return [...this.#workers].filter((worker) => worker.assigned && worker !== except);
  }

  /** Asks all, or all others. @returns the answers of those that gave one in time. */
  async ask<Name extends keyof WorkerDuties>(
    name: Name,
    args: Arguments<WorkerDuties, Name>,
    except?: WorkerProcess,
  ): Promise<Answer<WorkerDuties, Name>[]> {
    const asked = this.members(except).map(({ link }) => link.ask(name, args, WORKER_ANSWER_MS));
    const settled = await Promise.allSettled(asked);
    return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  }

  /** Makes all drain and end, and kills those that are still there after `withinMs`. */
  async dismiss(withinMs: number): Promise<void> {
    this.#dismissed.abort();
    this.#watch.stop();
    const killing = setTimeout(() => this.kill(), withinMs);
    const workers = [...this.#workers];
    for (const { link } of workers) link.ask('drain', []).catch(() => {});
    await Promise.all(workers.map((worker) => this.#seeOff(worker)));
    clearTimeout(killing);
  }

  async #seeOff({ number, pid, ended }: WorkerProcess): Promise<void> {
    const ending = await ended;
    if (ending.code === 0) return;
    this.#parts.log.error({ worker: number, pid, ...ending }, 'worker ended before it had drained');
  }

  /** Ends all at once. */
  kill(): void {
    for (const worker of this.#workers) worker.kill();
  }

  #fork(number: number): WorkerProcess {
    const worker = new WorkerProcess(number, this.#parts.entry);
    worker.link.offer(this.#parts.dutiesFor(worker));
    this.#workers.add(worker);
    void worker.ended.then(() => {
      this.#workers.delete(worker);
      this.#parts.onEnd(worker);
    });
    return worker;
  }

  /** undefined: the system could not fork it, which mostly shows at once. */
  #tryToFork(number: number): WorkerProcess | undefined {
    try {
      return this.#fork(number);
    } catch (thrown) {
      const { message } = fromUnknown(thrown);
      this.#parts.log.error({ worker: number, reason: message }, 'worker could not be forked');
      return undefined;
    }
  }

  async #bringUp(worker: WorkerProcess): Promise<void> {
    const { log, bringUp } = this.#parts;
    const { number, pid, link } = worker;
    try {
      await bringUp(worker);
    } catch (thrown) {
      if (link.connected) throw thrown;
      const { code, signal } = await worker.ended;
      throw new Error(`worker ${number} ended at its start: ${signal ?? `exit code ${code}`}`, {
        cause: thrown,
      });
    }
    log.info({ worker: number, pid }, 'worker started');
  }

  /** Replaces a worker whenever it ends, until all are dismissed. */
  async #keepUp(first: WorkerProcess): Promise<void> {
    const { log } = this.#parts;
    const { signal } = this.#dismissed;
    let worker = first;
    let failures = 0;
    while (!signal.aborted) {
      const ending = await worker.ended;
      if (signal.aborted) return;
      this.#parts.replaced.inc();
      const { number, pid, forkedMs } = worker;
      failures = performance.now() - forkedMs > STABLE_MS ? 0 : failures + 1;
      log.error(
        { worker: number, pid, ...ending, backoffMs: backoffMs(failures) },
        'worker ended, it is replaced',
      );
      let forked: WorkerProcess | undefined;
      while (forked === undefined) {
        await pause(backoffMs(failures), undefined, { signal }).catch(() => {});
        if (signal.aborted) return;
        forked = this.#tryToFork(number);
        if (forked === undefined) failures++;
      }
      const next = forked;
      this.#bringUp(next).catch((thrown) => {
        if (!signal.aborted)
          log.error({ worker: number, reason: fromUnknown(thrown).message }, 'worker did not start');
        next.kill();
      });
      worker = next;
    }
  }
}

/** @param failures in a row. */
function backoffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** (failures - 1));
}
