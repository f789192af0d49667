import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type Child, startChild } from '../child-process.js';
import { eventually } from '../eventually.js';
import { freePort } from '../free-port.js';

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** A connection of the test's own, not the gateway's. */
  readonly admin: Redis;
  /** SIGKILL: connections are reset, nothing is said. */
  kill(): Promise<void>;
  /** Starts it again on its port, as empty as a Redis without persistence is. */
  restart(): Promise<void>;
  /** SIGSTOP: it accepts connections (the kernel does) and answers nothing. */
  hang(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** Starts a real redis-server without persistence on a free port. @param options lines of redis.conf. */
export async function startRedis(options: readonly string[] = []): Promise<RedisServer> {
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'redis-'));
  const file = join(directory, 'redis.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    'save ""',
    'appendonly no',
    ...options,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  let child = await launch(file, port);
  const password = options.find((line) => line.startsWith('requirepass '))?.slice('requirepass '.length);
  const admin = new Redis({ port, retryStrategy: () => 50, ...(password === undefined ? {} : { password }) });
  admin.on('error', () => {});
  return {
    port,
    url: `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    admin,
    kill: () => child.stop('SIGKILL').then(() => {}),
    restart: async () => {
      child = await launch(file, port);
    },
    hang: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    stop: async () => {
      admin.disconnect();
      if (child.alive) await child.stop('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function launch(file: string, port: number): Promise<Child> {
  const child = startChild('redis-server', [file]);
  await eventually(async () => {
    if (!child.alive) throw new Error(`redis-server ended:\n${child.stdout}`);
    return child.stdout.includes('eady to accept connections') && port > 0;
  });
  return child;
}

export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

/** Three masters that share the slots; one that is gone leaves the others serving theirs. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes: RedisServer[] = [];
  for (let i = 0; i < 3; i++) {
    const busPort = await freePort();
    nodes.push(
      await startRedis([
        'cluster-enabled yes',
        `cluster-port ${busPort}`,
        'cluster-node-timeout 1000',
        'cluster-require-full-coverage no',
        'cluster-config-file nodes.conf',
      ]),
    );
  }
  const ports: string[] = [];
  for (const [i, { admin, port }] of nodes.entries()) {
    const [from, to] = [Math.ceil((16_384 * i) / 3), Math.ceil((16_384 * (i + 1)) / 3) - 1];
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
    await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
    const [busPort] = (await admin.config('GET', 'cluster-port')).slice(1) as string[];
    ports.push(`${port} ${busPort}`);
  }
  const [first, ...others] = nodes;
  for (const [i] of others.entries()) {
    const [port, busPort] = ports[i + 1]!.split(' ');
    await first!.admin.call('CLUSTER', 'MEET', '127.0.0.1', port!, busPort!);
  }
  await eventually(async () => {
    for (const { admin } of nodes) {
      const info = String(await admin.call('CLUSTER', 'INFO'));
      if (!info.includes('cluster_state:ok') || !info.includes('cluster_known_nodes:3')) return false;
      if (!info.includes('cluster_slots_assigned:16384')) return false;
    }
    return true;
  }, 30_000);
  return {
    nodes,
    urls: nodes.map(({ url }) => url),
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}
