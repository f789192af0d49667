import { type ChildProcess, fork, type SendHandle } from 'node:child_process';
import { type Accepted, discard } from '../gateway/node/acceptor.js';
import type { MetricsSnapshot } from '../telemetry/metrics/metrics.js';
import type { SupervisorDuties, WorkerDuties } from './duties.js';
import type { Door } from './handed-connections.js';
import { Link } from './link.js';
import { SILENT_ROUNDS, type Watched } from './watch.js';

/**
 * There is a worker for each core. V8's default of four threads for garbage collection and compilation would
 * take most of that core whenever they run, and clients would wait.
 */
const ONE_HELPER = '--v8-pool-size=1';

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A worker as the supervisor sees it. */
export class WorkerProcess implements Watched {
  readonly link: Link<SupervisorDuties, WorkerDuties>;
  readonly ended: Promise<Ending>;
  readonly forkedMs = performance.now();
  /** Whether it has its assignment: later changes have to be sent to it. */
  assigned: boolean = false;
  /** Whether it serves clients. */
  serving: boolean = false;
  silentRounds: number = 0;
  /** Its latest metrics snapshot. */
  snapshot: MetricsSnapshot | undefined;
  /** Ids under which it holds leases. */
  readonly holders = new Set<string>();
  readonly #child: ChildProcess;
  /** Connections handed over and not yet sent: Node.js sends the next one when the last has been received. */
  readonly #waiting = new Set<Accepted>();
  #asking: Promise<void> | undefined;
  #owesAnswer: boolean = false;

  /**
   * Forks the process, which then waits for its assignment.
   * @param number 1 and up; a replacement has that of its predecessor.
   * @param entry path of the worker's program.
   */
  constructor(
    readonly number: number,
    entry: string,
  ) {
    const child = fork(entry, [], {
      execArgv: [...process.execArgv, ONE_HELPER],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child = child;
    this.link = new Link(child);
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        // The connections that wait must be closed here: neither their callbacks nor the channel's end come
        // then.
        for (const connection of this.#waiting) discard(connection);
        this.#waiting.clear();
        resolve({ code, signal });
      });
      // It could not be forked, or not be told something: only the former is an end.
      child.on('error', () => {
        if (child.pid === undefined) resolve({ code: null, signal: null });
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether new clients are for it. */
  get takesClients(): boolean {
    return this.serving && this.link.connected;
  }

  /** Whether it has answered lately. */
  get answers(): boolean {
    return this.silentRounds < SILENT_ROUNDS;
  }

  ping(): void {
    if (this.#owesAnswer) {
      this.silentRounds++;
      return;
    }
    this.#owesAnswer = true;
    this.link
      .ask('ping', [])
      .then(() => {
        this.silentRounds = 0;
      })
      // It is gone, or could not be told.
      .catch(() => {})
      .finally(() => {
        this.#owesAnswer = false;
      });
  }

  /**
   * Brings `snapshot` up to date, if the worker answers in time; never rejects. One that
   * is slow is not asked again.
   */
  refresh(withinMs: number): Promise<void> {
    this.#asking ??= this.link
      .ask('snapshot', [], withinMs)
      .then((snapshot) => {
        this.snapshot = snapshot;
      })
      .catch(() => {})
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }

  /** Hands a connection over to the worker; it is closed if the worker is gone. */
  hand(connection: Accepted, door: Door): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return discard(connection);
    this.#waiting.add(connection);
    // Our own end is closed here once it has crossed: Node.js would do so for streams alone, and not when the
    // worker dies. The types know of some kinds of handles only.
    this.#child.send({ door }, connection as SendHandle, { keepOpen: true }, () => {
      if (this.#waiting.delete(connection)) discard(connection);
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
