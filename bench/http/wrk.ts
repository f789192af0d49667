import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild } from '../../test/support/child-process.js';
import { pinned } from '../machine.js';
import { LARGE_BYTES } from './targets.js';

export interface Load {
  readonly port: number;
  readonly path: '/small' | '/large' | '/sink';
  readonly connections: number;
  readonly seconds: number;
  readonly token: string;
}

export interface Outcome {
  readonly requests: number;
  readonly failed: number;
}

/** Debian's wrk: requests one after another on each of its connections, for a time. */
export async function runWrk(
  { port, path, connections, seconds, token }: Load,
  directory: string,
  cpu: number | undefined,
): Promise<Outcome> {
  const script = join(directory, 'load.lua');
  const upload = `wrk.method = "PUT"; wrk.body = string.rep("x", ${LARGE_BYTES})`;
  const done = `function done(summary) local e = summary.errors
    io.stdout:write(string.format("\\nRESULT %d %d\\n", summary.requests, e.connect + e.read + e.write + e.status + e.timeout)) end`;
  await writeFile(
    script,
    `wrk.headers["Authorization"] = "Bearer ${token}"\n${path === '/sink' ? upload : ''}\n${done}`,
    {
      mode: 0o600,
    },
  );
  const args = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '30s', '-s', script];
  const child = startChild(...pinned(cpu, 'wrk', [...args, `http://127.0.0.1:${port}${path}`]), {
    env: { PATH: process.env.PATH },
  });
  await child.exited;
  const [, requests, failed] = /RESULT (\d+) (\d+)/.exec(child.stdout) ?? [];
  if (requests === undefined) throw new Error(`wrk failed:\n${child.stdout}${child.stderr}`);
  return { requests: Number(requests), failed: Number(failed) };
}
