import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type Child, startChild } from '../child-process.js';
import { eventually } from '../eventually.js';
import { freePort } from '../free-port.js';
import { type RedisServer, startRedis } from './redis-server.js';

export interface SentinelSetup {
  /** With all Sentinels in it. */
  readonly url: string;
  readonly first: RedisServer;
  readonly second: RedisServer;
  stop(): Promise<void>;
}

/** A master, its replica, and three Sentinels that make the replica master within seconds of its end. */
export async function startSentinels(): Promise<SentinelSetup> {
  const first = await startRedis();
  const second = await startRedis([`replicaof 127.0.0.1 ${first.port}`]);
  await eventually(
    async () => (await second.admin.info('replication')).includes('master_link_status:up'),
    20_000,
  );
  const directory = await mkdtemp(join(tmpdir(), 'sentinel-'));
  const ports = [await freePort(), await freePort(), await freePort()];
  const children: Child[] = [];
  for (const port of ports) {
    const file = join(directory, `${port}.conf`);
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${directory}`,
      `sentinel monitor main 127.0.0.1 ${first.port} 2`,
      'sentinel down-after-milliseconds main 500',
      'sentinel failover-timeout main 3000',
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    children.push(startChild('redis-server', [file, '--sentinel']));
  }
  // They know each other and the replica.
  for (const port of ports) {
    const sentinel = new Redis({ port, retryStrategy: () => 50 });
    sentinel.on('error', () => {});
    await eventually(async () => {
      const info = String(await sentinel.info('sentinel'));
      return info.includes('slaves=1') && info.includes('sentinels=3');
    }, 20_000).finally(() => sentinel.disconnect());
  }
  return {
    url: `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/main`,
    first,
    second,
    stop: async () => {
      await Promise.all(children.map((child) => child.stop('SIGKILL')));
      await Promise.all([first.stop(), second.stop()]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
