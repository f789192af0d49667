import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Child, startChild } from '../test/support/child-process.js';
import { eventually } from '../test/support/eventually.js';
import type { Job, Outcome } from './job.js';
import { pinned } from './machine.js';

const SOURCE = fileURLToPath(new URL('native/crowd.c', import.meta.url));

/** Whether the program in C can do a job; `load.ts` does all of them, at more than a proxy's own cost. */
export function isForCrowd({ mode, speech, tls }: Pick<Job, 'mode' | 'speech' | 'tls'>): boolean {
  return tls === undefined && mode !== 'idle' && speech !== 'deflate';
}

/**
 * Compiles the load generator and echo in C.
 * @returns the program's path.
 * @throws Error when there is no C compiler.
 */
export async function compileCrowd(directory: string): Promise<string> {
  const program = join(directory, 'crowd');
  await promisify(execFile)('cc', ['-O2', '-o', program, SOURCE]).catch((error: Error) => {
    throw new Error(`the load generator needs a C compiler (cc): ${error.message}`);
  });
  return program;
}

/** Clients and their echo in one process (native/crowd.c): the echo as long as it lives, clients by jobs. */
export class CrowdProgram {
  /** Of the echo, on 127.0.0.1. */
  readonly port: number;
  readonly #child: Child;
  readonly #directory: string;
  #answers = 1;

  private constructor(port: number, child: Child, directory: string) {
    this.port = port;
    this.#child = child;
    this.#directory = directory;
  }

  /** @param program of `compileCrowd`. @param directory for the tokens. */
  static async start(program: string, directory: string, cpu?: number | string): Promise<CrowdProgram> {
    const child = startChild(...pinned(cpu, program, []), { stdio: ['pipe', 'pipe', 'pipe'] });
    const port = await eventually(() => {
      if (!child.alive) throw new Error(`the echo ended:\n${child.stderr}`);
      return Number(child.stdout.split('\n', 1)[0]) || false;
    });
    return new CrowdProgram(port, child, directory);
  }

  /** One measurement. @throws Error with what went wrong. */
  async run(job: Job): Promise<Outcome> {
    const { mode, speech, port, path, connections, inflight, payloadBytes, perSecond } = job;
    const { warmupMs, durationMs, firstToken, pids, tokenFile } = job;
    const tokens = tokenFile === undefined ? '-' : await this.#lines(tokenFile);
    const words = [mode, speech, port, path, connections, inflight, payloadBytes, perSecond];
    words.push(warmupMs, durationMs, firstToken, tokens, pids.length === 0 ? '-' : pids.join());
    this.#child.write(`${words.join(' ')}\n`);
    const line = await eventually(
      () => {
        if (!this.#child.alive) throw new Error(`the load generator ended:\n${this.#child.stderr}`);
        return this.#child.stdout.split('\n').slice(0, -1)[this.#answers] ?? false;
      },
      warmupMs + durationMs + 120_000,
    );
    this.#answers++;
    const { failure, ...outcome } = JSON.parse(line) as Outcome & { readonly failure?: string };
    if (failure !== undefined) throw new Error(`port ${port}: ${failure}\n${this.#child.stderr}`);
    return outcome;
  }

  async stop(): Promise<void> {
    await this.#child.stop('SIGKILL');
  }

  /** The tokens of a JSON list, one a line. @returns the file's path. */
  async #lines(tokenFile: string): Promise<string> {
    const file = join(this.#directory, 'tokens.txt');
    const tokens = JSON.parse(readFileSync(tokenFile, 'utf8')) as readonly string[];
    await writeFile(file, `${tokens.join('\n')}\n`, { mode: 0o600 });
    return file;
  }
}
