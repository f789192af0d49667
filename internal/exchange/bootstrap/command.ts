import { type ChildProcess, spawn } from 'node:child_process';
import { fromUnknown } from '../../errors.js';
import { forLog } from '../../telemetry/log/log.js';

/** Options of a command. */
export interface CommandOptions {
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** How long it may take, in milliseconds. */
  readonly withinMs: number;
  /** Longest output, in bytes. */
  readonly limitBytes: number;
  /** Aborted when the output is no longer wanted. */
  readonly signal: AbortSignal;
}

/**
 * The standard output of a command that has exited with 0. It runs without a shell and in a process group of
 * its own: if it takes too long, writes too much or is aborted, all that it has started is killed with it.
 * @throws Error: it cannot be started, exits otherwise, takes too long or writes too much.
 */
export function outputOf(
  [program = '', ...args]: readonly string[],
  { env, withinMs, limitBytes, signal }: CommandOptions,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(program, args, {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output: Buffer[] = [];
    let bytes = 0;
    let complaint = '';
    const fail = (why: string): void => {
      end();
      killGroup(child);
      reject(new Error(why));
    };
    const timer = setTimeout(() => fail(`it took longer than ${withinMs} ms`), withinMs);
    const giveUp = (): void => fail('nobody waits for it any more');
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    };
    signal.addEventListener('abort', giveUp);
    // Before all else: if no file descriptor is left, the child has no output streams.
    child.on('error', (error) => fail(fromUnknown(error).message));
    for (const pipe of [child.stdout, child.stderr]) pipe?.on('error', (error) => fail(error.message));
    child.stdout?.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limitBytes) fail(`it wrote more than ${limitBytes} bytes`);
      else output.push(chunk);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint = forLog(complaint + chunk.toString());
    });
    // On 'close', when its pipes are closed too: a process that it has left running may not hold them.
    child.once('close', (code, ended) => {
      end();
      if (code === 0) resolve(Buffer.concat(output));
      else reject(new Error(`it ended with ${ended ?? code}: ${complaint.trim()}`));
    });
  });
}

function killGroup({ pid, stdout, stderr }: ChildProcess): void {
  stdout?.destroy();
  stderr?.destroy();
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // The process group has ended, or belongs to another user now.
  }
}
