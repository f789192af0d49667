import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../../test/support/child-process.js';
import { eventually } from '../../test/support/eventually.js';
import { pinned } from '../machine.js';
import { TSX } from '../programs.js';

/** A storm takes some 15 s, on a machine many times slower no longer than this. */
const ANSWER_WITHIN_MS = 600_000;

/** One of the programs of this directory: it says a line when it is ready, and one to every line told. */
export class Program {
  readonly #child: Child;
  #taken = 0;

  private constructor(child: Child) {
    this.#child = child;
  }

  static start(name: string, args: readonly string[], cpu: number | undefined): Program {
    const path = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
    const [command, all] = pinned(cpu, process.execPath, ['--import', TSX, path, ...args]);
    return new Program(startChild(command, all, { stdio: ['pipe', 'pipe', 'pipe'] }));
  }

  get pid(): number {
    return this.#child.pid;
  }

  async ask<T>(line: string): Promise<T> {
    this.#child.write(`${line}\n`);
    return await this.hear<T>();
  }

  /** What it says next. */
  async hear<T>(): Promise<T> {
    const line = await eventually(() => {
      const end = this.#child.stdout.indexOf('\n', this.#taken);
      if (end >= 0) return this.#child.stdout.slice(this.#taken, end);
      if (!this.#child.alive) return { ended: this.#child.stderr };
      return false;
    }, ANSWER_WITHIN_MS);
    if (typeof line === 'object') throw new Error(`a program of the bench ended:\n${line.ended}`);
    this.#taken += line.length + 1;
    return JSON.parse(line) as T;
  }

  async stop(): Promise<void> {
    await this.#child.stop('SIGKILL');
  }
}
