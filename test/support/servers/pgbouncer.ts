import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../child-process.js';
import { eventually } from '../eventually.js';
import { accepts, freePort } from '../free-port.js';
import type { PostgresServer } from './postgres-server.js';

const PGBOUNCER = '/usr/sbin/pgbouncer';
/** Whether Debian's package is there. */
export const HAS_PGBOUNCER = existsSync(PGBOUNCER);

export interface PgBouncer {
  readonly dsn: string;
  stop(): Promise<void>;
}

/** A real pgbouncer in front of a server, on a free port. */
export async function startPgBouncer(
  postgres: PostgresServer,
  poolMode: 'session' | 'transaction',
): Promise<PgBouncer> {
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'pgbouncer-'));
  await chmod(directory, 0o755);
  const [file, users] = [join(directory, 'pgbouncer.ini'), join(directory, 'users.txt')];
  await writeFile(users, '"gw" ""\n');
  const settings = [
    '[databases]',
    `postgres = host=127.0.0.1 port=${postgres.port}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = trust',
    `auth_file = ${users}`,
    `pool_mode = ${poolMode}`,
  ];
  await writeFile(file, `${settings.join('\n')}\n`);
  // It refuses to run as root.
  const child = startChild(PGBOUNCER, process.getuid?.() === 0 ? ['-u', 'postgres', file] : [file]);
  await eventually(async () => {
    if (!child.alive) throw new Error(`pgbouncer ended:\n${child.stderr}`);
    return accepts(port);
  });
  return {
    dsn: `postgres://gw@127.0.0.1:${port}/postgres`,
    stop: async () => {
      await child.stop('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}
