import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { within } from './eventually.js';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Everything started here that still runs: none of it outlives the test process. */
const running = new Set<Child>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** A process the test started, with all it printed. */
export class Child {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  stdout = '';
  stderr = '';
  readonly #process: ChildProcess;
  readonly #group: boolean;

  constructor(process: ChildProcess, group: boolean, command: string) {
    if (process.pid === undefined) throw new Error(`${command} could not be started`);
    this.pid = process.pid;
    this.#process = process;
    this.#group = group;
    process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    // A test that failed before it stopped this one must not keep its file from coming to an end.
    process.unref();
    for (const pipe of [process.stdin, process.stdout, process.stderr]) (pipe as Socket | null)?.unref();
    running.add(this);
    this.exited = new Promise((resolve) => {
      process.once('close', (code, signal) => {
        running.delete(this);
        resolve({ code, signal });
      });
    });
  }

  get alive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.alive) return;
    if (!this.#group) this.#process.kill(signal);
    else
      try {
        process.kill(-this.pid, signal);
      } catch {
        // gone between the check and the signal
      }
  }

  /** Says something on its standard input, if that is a pipe. */
  write(text: string): void {
    this.#process.stdin?.write(text);
  }

  /** Ends the process: `signal`, and SIGKILL (then an error) when it is still there after `withinMs`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', withinMs = 15_000): Promise<Exit> {
    this.kill(signal);
    try {
      return await within(this.exited, `exit of process ${this.pid} after ${signal}`, withinMs);
    } catch (error) {
      this.kill('SIGKILL');
      await this.exited;
      throw error;
    }
  }
}

/** Starts `command` with no standard input. `group`: give it a process group that signals go to. */
export function startChild(
  command: string,
  args: readonly string[],
  options: SpawnOptions & { readonly group?: boolean } = {},
): Child {
  const { group = false, ...spawnOptions } = options;
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: group,
    ...spawnOptions,
  });
  child.once('error', () => {});
  return new Child(child, group, command);
}
