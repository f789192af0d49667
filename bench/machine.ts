import { execFileSync } from 'node:child_process';
import { cpus, release } from 'node:os';
import { allowedCpus } from './process-usage.js';

/** Which CPU belongs to whom; all undefined where there is but one, or no pinning is wanted. */
export interface Placement {
  readonly proxyCpu: number | undefined;
  readonly loadCpu: number | undefined;
  readonly echoCpu: number | undefined;
}

export function placement(): Placement {
  const [proxyCpu, loadCpu = proxyCpu, echoCpu = loadCpu] = allowedCpus();
  if (proxyCpu === loadCpu) return { proxyCpu: undefined, loadCpu: undefined, echoCpu: undefined };
  return { proxyCpu, loadCpu, echoCpu };
}

/** A command that runs on one CPU, or a list of them. It replaces taskset: its process id is the child's. */
export function pinned(
  cpu: number | string | undefined,
  command: string,
  args: readonly string[],
): [string, string[]] {
  if (cpu === undefined) return [command, [...args]];
  return ['taskset', ['-c', String(cpu), command, ...args]];
}

/** Pins all threads of a process that runs already; undefined: it stays where it is. */
export function pin(pid: number, cpu: number | undefined): void {
  if (cpu !== undefined) execFileSync('taskset', ['-acp', String(cpu), String(pid)], { stdio: 'ignore' });
}

/** Has all threads of a process run only while nobody else wants their CPU (SCHED_IDLE, sched(7)). */
export function giveWay(pid: number): void {
  execFileSync('chrt', ['-a', '-i', '-p', '0', String(pid)], { stdio: 'ignore' });
}

/**
 * What the figures hold for.
 * @param commands names of programs and the flag that makes them tell their version.
 */
export function environment(
  commands: Readonly<Record<string, string>> = {},
): Record<string, string | number> {
  const versions = Object.entries(commands).map(([command, flag]) => [command, version(command, flag)]);
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    ...Object.fromEntries(versions),
  };
}

function version(command: string, flag: string): string {
  try {
    // nginx prints its version to standard error; mosquitto has no flag for it but its help.
    const path = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;
    const text = execFileSync('sh', ['-c', `${command} ${flag} 2>&1; true`], {
      encoding: 'utf8',
      env: { PATH: path },
    });
    return text.split('\n')[0] ?? '';
  } catch {
    return 'not found';
  }
}
