import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, type QueryResult } from 'pg';
import { type Child, startChild } from '../child-process.js';
import { eventually, within } from '../eventually.js';
import { freePort } from '../free-port.js';

const BIN = '/usr/lib/postgresql/15/bin';
const run = promisify(execFile);

export interface PostgresServer {
  readonly port: number;
  readonly dsn: string;
  /** Runs a statement on a connection of its own. */
  sql(text: string, values?: unknown[]): Promise<QueryResult>;
  /** SIGKILL to the postmaster and all it forked. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** SIGSTOP to the postmaster and all it forked: the kernel accepts connections, and nobody answers. */
  hang(): void;
  resume(): void;
  stop(): Promise<void>;
}

/**
 * Starts a real postgres with an empty cluster on a free port; as the user postgres when run
 * by root, whom it refuses.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'postgres-'));
  const account = process.getuid?.() === 0 ? await postgresAccount() : undefined;
  if (account !== undefined) await chown(directory, account.uid, account.gid);
  const data = join(directory, 'data');
  const initdb = ['-D', data, '-U', 'gw', '--auth=trust', '--no-sync', '-E', 'UTF8'];
  await run(`${BIN}/initdb`, initdb, { cwd: '/', ...account });
  const settings = [
    'fsync=off',
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    `unix_socket_directories=${directory}`,
  ];
  const start = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
  const dsn = `postgres://gw@127.0.0.1:${port}/postgres`;

  const sql = async (text: string, values: unknown[] = []) => {
    const client = new Client({ connectionString: dsn, connectionTimeoutMillis: 5_000 });
    client.on('error', () => {});
    await client.connect();
    try {
      return await client.query(text, values);
    } finally {
      await client.end();
    }
  };
  const launch = async () => {
    const child = startChild(`${BIN}/postgres`, start, { cwd: '/', ...account });
    await eventually(() => sql('SELECT 1'), 30_000).catch(async (error: unknown) => {
      await child.stop('SIGKILL');
      throw new Error(`postgres did not start:\n${child.stderr}`, { cause: error });
    });
    return child;
  };
  const postmaster = () => Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const signal = (name: NodeJS.Signals) => {
    const pid = postmaster();
    for (const target of [pid, ...childrenOf(pid)]) {
      try {
        process.kill(target, name);
      } catch {
        // a backend that ended meanwhile
      }
    }
  };
  let child: Child = await launch();
  const kill = async () => {
    if (!child.alive) return;
    signal('SIGKILL');
    await within(child.exited, 'end of postgres');
    await rm(join(data, 'postmaster.pid'), { force: true });
  };
  return {
    port,
    dsn,
    sql,
    kill,
    restart: async () => {
      child = await launch();
    },
    hang: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    stop: async () => {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function postgresAccount(): Promise<{ readonly uid: number; readonly gid: number }> {
  const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, 'postgres'])));
  return { uid: Number(uid!.stdout), gid: Number(gid!.stdout) };
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
