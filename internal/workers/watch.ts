import type { Log } from '../telemetry/log/log.js';

/** A worker that is looked after. */
export interface Watched {
  readonly number: number;
  readonly pid: number | undefined;
  /** Whether it serves clients: one that starts may take its time. */
  readonly serving: boolean;
  /** Rounds in a row that began before it had answered the last question. */
  readonly silentRounds: number;
  /** Asks it whether it is there, unless it still owes the answer. */
  ping(): void;
  kill(): void;
}

const ROUND_MS = 1_000;
/** Who has been silent this long gets no new clients as long as there are others. */
export const SILENT_ROUNDS = 3;
/** And this long is replaced: a garbage collection, a heap snapshot and a machine that swaps end before. */
const HUNG_ROUNDS = 60;

/**
 * Asks all workers again and again whether they are there. Time is what passes here: rounds are counted, and
 * between two of them every answer that has come is read. So nobody is taken for hung because this process
 * was stopped or starved, with the others or alone.
 */
export class Watch {
  #timer: NodeJS.Timeout | undefined;

  /** @param roundMs for tests. */
  constructor(
    readonly workers: () => Iterable<Watched>,
    readonly log: Pick<Log, 'warn' | 'error'>,
    readonly roundMs: number = ROUND_MS,
  ) {}

  start(): void {
    this.#timer = setInterval(() => this.round(), this.roundMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  round(): void {
    for (const worker of this.workers()) {
      if (!worker.serving) continue;
      worker.ping();
      const { number, pid, silentRounds } = worker;
      if (silentRounds === SILENT_ROUNDS) this.log.warn({ worker: number, pid }, 'worker does not answer');
      if (silentRounds !== HUNG_ROUNDS) continue;
      this.log.error({ worker: number, pid }, 'worker has not answered for a minute: it is killed');
      worker.kill();
    }
  }
}
