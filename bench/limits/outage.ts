import { setTimeout as pause } from 'node:timers/promises';
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';
import { eventually, within } from '../../test/support/eventually.js';
import type { RedisServer } from '../../test/support/servers/redis-server.js';
import { connectAsGateway, LeasingProcess } from './contestants.js';

/** Far above what is asked for: what counts is when an answer comes. */
const LIMIT = 100_000;
const ASK_EVERY_MS = 20;

/** Redis stops (SIGSTOP) for a while: how long every decision takes, and when the shared limit is back. */
export async function measureOutage(redis: RedisServer, hungMs: number): Promise<Record<string, object>> {
  const client = await connectAsGateway(redis.port);
  const process = await LeasingProcess.start(redis.url, LIMIT, LIMIT);
  const insuranceLimiter = new RateLimiterMemory({ points: LIMIT, duration: 1 });
  const options = { points: LIMIT, duration: 1, insuranceLimiter, rejectIfRedisNotReady: true };
  const flexible = new RateLimiterRedis({ ...options, storeClient: client });
  const budget = process.limiter.acquire({ kind: 'sub', name: 'ann' });
  await within(Promise.resolve(budget?.ready), 'answer of the shared budget');

  redis.hang();
  const hungAtMs = performance.now();
  const isOver = (): boolean => performance.now() - hungAtMs > hungMs;
  const [leased, opened, insured, localMs] = await Promise.all([
    decisions(isOver, () => budget?.take(1)),
    decisions(isOver, async () => {
      const other = process.limiter.acquire({ kind: 'sub', name: `new-${performance.now()}` });
      await other?.ready;
      other?.release();
    }),
    decisions(isOver, () => flexible.consume('ann')),
    eventually(() => !process.leases.shared).then(() => performance.now() - hungAtMs),
  ]);
  redis.resume();
  const resumedAtMs = performance.now();
  await eventually(() => process.leases.shared);
  const sharedMs = performance.now() - resumedAtMs;
  await process.stop();
  client.disconnect();
  return {
    'leases: a message': row(leased),
    'leases: a new subject, until its budget is known': row(opened),
    'rate-limiter-flexible with insurance: every consume': row(insured),
    'leases: the local limit is in force after': { 'longest ms': localMs.toFixed(0) },
    'leases: the shared limit is back after': { 'longest ms': sharedMs.toFixed(0) },
  };
}

/** Milliseconds that each decision takes, one after the other. */
async function decisions(isOver: () => boolean, decide: () => unknown): Promise<number[]> {
  const taken: number[] = [];
  while (!isOver()) {
    const startMs = performance.now();
    const answer = decide();
    if (answer instanceof Promise) await answer;
    taken.push(performance.now() - startMs);
    await pause(ASK_EVERY_MS);
  }
  return taken;
}

function row(taken: readonly number[]): object {
  const sorted = taken.toSorted((a, b) => a - b);
  return {
    decisions: sorted.length,
    'p50 ms': sorted[sorted.length >> 1]?.toFixed(3),
    'p99 ms': sorted[Math.floor(sorted.length * 0.99)]?.toFixed(3),
    'longest ms': sorted.at(-1)?.toFixed(3),
  };
}
