import { createHash, randomUUID } from 'node:crypto';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import { type Budget, LeaseLedger } from '../../internal/ratelimit/lease-ledger.js';
import type { RedisServer } from '../../test/support/servers/redis-server.js';
import { cpuMicros } from '../process-usage.js';
import { connectAsGateway } from './contestants.js';

const BUDGETS = 1000;
const [PER_SECOND, BURST] = [1000, 1000];
const LEASE = BURST / 10;

interface Contestant {
  readonly name: string;
  take(index: number): Promise<unknown>;
  giveBack(index: number): Promise<unknown>;
}

/**
 * What taking a lease from Redis, and giving it back, costs: a call each.
 * @param calls of every contestant.
 */
export async function measureCost(redis: RedisServer, calls: number): Promise<Record<string, object>> {
  const client = await connectAsGateway(redis.port);
  const redisPid = Number(/process_id:(\d+)/.exec(await redis.admin.info('server'))?.[1]);
  const netInput = async (): Promise<number> =>
    Number(/total_net_input_bytes:(\d+)/.exec(await redis.admin.info('stats'))?.[1]);

  const rows: Record<string, object> = {};
  for (const { name, take, giveBack } of contestants(client)) {
    const both = async (index: number): Promise<void> => {
      await take(index);
      await giveBack(index);
    };
    await inFlight(calls / 10, 50, both);
    const before = { node: process.cpuUsage(), redis: cpuMicros(redisPid), net: await netInput() };
    await inFlight(calls / 2, 50, both);
    const node = process.cpuUsage(before.node);
    const redisMicros = cpuMicros(redisPid) - before.redis;
    const bytes = (await netInput()) - before.net;
    const latencies: number[] = [];
    await inFlight(calls / 10, 1, async (index) => {
      const startMs = performance.now();
      await take(index);
      latencies.push((performance.now() - startMs) * 1000);
      await giveBack(index);
    });
    latencies.sort((a, b) => a - b);
    rows[name] = {
      'node CPU µs': ((node.user + node.system) / calls).toFixed(1),
      'redis CPU µs': (redisMicros / calls).toFixed(1),
      'B sent': (bytes / calls).toFixed(0),
      'p50 µs alone': latencies[latencies.length >> 1]?.toFixed(0),
      'p99 µs alone': latencies[Math.floor(latencies.length * 0.99)]?.toFixed(0),
    };
  }
  client.disconnect();
  return rows;
}

function contestants(client: Awaited<ReturnType<typeof connectAsGateway>>): Contestant[] {
  const holder = randomUUID();
  const budget = (index: number): Budget => ({
    name: `bench:lease:${index}`,
    perSecond: PER_SECOND,
    burst: BURST,
    leases: 10,
  });
  const leasing = (name: string, ledger: LeaseLedger): Contestant => ({
    name,
    take: (index) => ledger.settle(budget(index), holder, 1, 0),
    giveBack: (index) => ledger.settle(budget(index), holder, -1, LEASE),
  });
  const flexible = new RateLimiterRedis({ storeClient: client, points: BURST, duration: 1 });
  return [
    // First, so that nobody else warms up the client's code for those behind it.
    {
      name: 'a round trip alone (PING)',
      take: () => client.ping(),
      giveBack: () => client.ping(),
    },
    leasing(
      'lease script, EVAL',
      new LeaseLedger({
        up: true,
        eval: (script, keys, args) => client.eval(script, keys.length, ...keys, ...args),
      }),
    ),
    leasing(
      'lease script, EVALSHA as the gateway does',
      new LeaseLedger({ up: true, eval: evalSha(client) }),
    ),
    {
      name: 'rate-limiter-flexible, consume and reward',
      // Not enough points is an answer, too.
      take: (index) => flexible.consume(`bench-${index}`, LEASE).catch(() => {}),
      giveBack: (index) => flexible.reward(`bench-${index}`, LEASE),
    },
  ];
}

function evalSha(client: Awaited<ReturnType<typeof connectAsGateway>>) {
  const known = new Map<string, string>();
  return async (script: string, keys: readonly string[], args: readonly string[]): Promise<unknown> => {
    let sha = known.get(script);
    if (sha === undefined) {
      sha = createHash('sha1').update(script).digest('hex');
      await client.script('LOAD', script);
      known.set(script, sha);
    }
    return client.evalsha(sha, keys.length, ...keys, ...args);
  };
}

/** Runs `work` for 0 to `count` - 1, with so many at a time. */
async function inFlight(
  count: number,
  atOnce: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++ % BUDGETS);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
