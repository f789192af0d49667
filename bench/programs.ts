import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../test/support/child-process.js';
import { eventually } from '../test/support/eventually.js';
import type { Issuer } from '../test/support/servers/issuer.js';
import type { Job, Outcome } from './job.js';
import { pinned } from './machine.js';

/** What `node --import` needs to run TypeScript. */
export const TSX = fileURLToPath(import.meta.resolve('tsx'));

/** Runs one of the programs of this directory in a process of its own, on a CPU of its own if given. */
export function startProgram(
  url: URL,
  args: readonly string[] = [],
  cpu?: number | string | undefined,
): Child {
  const command = ['--import', TSX, fileURLToPath(url), ...args];
  return startChild(...pinned(cpu, process.execPath, command));
}

/** One measurement. @throws Error with what the load generator said, if it failed. */
export async function runLoad(job: Job, cpu?: number | string | undefined): Promise<Outcome> {
  const child = startProgram(new URL('load.ts', import.meta.url), [JSON.stringify(job)], cpu);
  const { code } = await child.exited;
  if (code !== 0) throw new Error(`the load generator failed on port ${job.port}:\n${child.stderr}`);
  return JSON.parse(child.stdout) as Outcome;
}

export interface Echo {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly child: Child;
  stop(): Promise<void>;
}

/** @param port default: any. */
export async function startEcho(cpu?: number | string | undefined, port = 0): Promise<Echo> {
  const child = startProgram(new URL('echo.ts', import.meta.url), [String(port)], cpu);
  const bound = await eventually(() => {
    if (!child.alive) throw new Error(`the echo ended:\n${child.stderr}`);
    return Number(child.stdout) || false;
  });
  return { port: bound, child, stop: () => child.stop('SIGKILL').then(() => {}) };
}

/** Signs tokens, each of its own subject, into a file that only this user reads. @returns its path. */
export async function writeTokens(issuer: Issuer, directory: string, count: number): Promise<string> {
  const file = join(directory, 'tokens.json');
  const tokens = Array.from({ length: count }, (_, index) => issuer.sign({ sub: `subject-${index}` }));
  await writeFile(file, JSON.stringify(tokens), { mode: 0o600 });
  return file;
}

/** The issuer's key as PEM. @returns the file's path. */
export async function writePublicKey(issuer: Issuer, directory: string): Promise<string> {
  const file = join(directory, 'public-key.pem');
  await writeFile(file, issuer.publicKey().export({ type: 'spki', format: 'pem' }));
  return file;
}
