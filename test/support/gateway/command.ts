import { spawn } from 'node:child_process';
import { GATEWAY_COMMAND } from './gateway.js';

/** What a command printed, and its exit status. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** On its standard input, which ends behind it. */
  readonly input?: string;
}

/** Runs `ws-gateway` with these arguments to its end. */
export async function runCommand(
  args: readonly string[],
  { env = {}, input = '' }: RunOptions = {},
): Promise<Ran> {
  const [command = '', ...first] = GATEWAY_COMMAND;
  const child = spawn(command, [...first, ...args], { env: { PATH: process.env.PATH, ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}
