import type { Log } from '../telemetry/log/log.js';

/** A worker whose liveness is checked. */
export interface Watched {
  readonly number: number;
  readonly pid: number | undefined;
  /** Whether it serves clients: one that starts may take its time. */
  readonly serving: boolean;
  /** Rounds in a row that it has not answered. */
  readonly silentRounds: number;
  /** Asks it whether it lives, unless it has not answered the last question yet. */
  ping(): void;
  kill(): void;
}

const ROUND_MS = 1_000;
/** A worker that has been silent for this many rounds gets no new clients as long as there are others. */
export const SILENT_ROUNDS = 3;
/** And for this many rounds is replaced: garbage collections, heap snapshots and swapping are over before. */
const HUNG_ROUNDS = 60;

/**
 * Asks all workers again and again whether they live. Silence is counted in rounds of this process, not by
 * the clock, and between two rounds every answer that has come is read: no worker is taken for hung because
 * this process was stopped or starved, alone or with the others.
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
