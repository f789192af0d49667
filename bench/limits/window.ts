import { setTimeout as pause } from 'node:timers/promises';
import { BurstyRateLimiter, RateLimiterRedis } from 'rate-limiter-flexible';
import { within } from '../../test/support/eventually.js';
import type { RedisServer } from '../../test/support/servers/redis-server.js';
import { connectAsGateway, LeasingProcess } from './contestants.js';

/** 50 a second, 100 at once: over t seconds at most 100 + 50 t may pass. */
const [PER_SECOND, BURST] = [50, 100];
const WINDOW_SECONDS = BURST / PER_SECOND;
/** One that wants all it can get tries so often. */
const ATTEMPT_MS = 5;
const EDGE_MS = 200;

/** One try to pass. */
type Attempt = () => boolean | Promise<boolean>;

interface Contestant {
  readonly name: string;
  /** When a window that a first message opens is over; a token bucket has none. */
  readonly windowMs: number;
  /** @returns how a subject asks. */
  approach(subject: string): Promise<Attempt>;
}

/** What two ways of asking let through: at the edge of a window, and over some seconds without a pause. */
export async function measureWindows(redis: RedisServer, seconds: number): Promise<Record<string, object>> {
  const client = await connectAsGateway(redis.port);
  const process = await LeasingProcess.start(redis.url, PER_SECOND, BURST);
  const fixed = new RateLimiterRedis({
    storeClient: client,
    keyPrefix: 'fixed',
    points: BURST,
    duration: WINDOW_SECONDS,
  });
  const steady = new RateLimiterRedis({
    storeClient: client,
    keyPrefix: 'steady',
    points: PER_SECOND,
    duration: 1,
  });
  const extra = new RateLimiterRedis({
    storeClient: client,
    keyPrefix: 'extra',
    points: BURST - PER_SECOND,
    duration: WINDOW_SECONDS,
  });
  const bursty = new BurstyRateLimiter(steady, extra);
  const flexible = (
    limiter: RateLimiterRedis | BurstyRateLimiter,
    windowMs: number,
  ): Omit<Contestant, 'name'> => ({
    windowMs,
    approach: async (subject) => () =>
      limiter.consume(subject).then(
        () => true,
        () => false,
      ),
  });
  const contestants: Contestant[] = [
    {
      name: 'leases: a token bucket',
      windowMs: WINDOW_SECONDS * 1000,
      approach: async (name) => {
        const budget = process.limiter.acquire({ kind: 'sub', name });
        if (budget === undefined) throw new Error('no limit');
        await within(Promise.resolve(budget.ready), 'answer of the shared budget');
        return () => budget.take(1);
      },
    },
    {
      name: `rate-limiter-flexible: ${BURST} in ${WINDOW_SECONDS} s`,
      ...flexible(fixed, WINDOW_SECONDS * 1000),
    },
    {
      name: `rate-limiter-flexible: ${PER_SECOND} in 1 s, bursty by ${BURST - PER_SECOND} in ${WINDOW_SECONDS} s`,
      ...flexible(bursty, 1000),
    },
  ];
  const rows = await Promise.all(
    contestants.map(async ({ name, windowMs, approach }) => {
      const [edge, all] = await Promise.all([
        atEdge(await approach('edge'), windowMs),
        passedIn(await approach('greedy'), seconds * 1000),
      ]);
      return [
        name,
        {
          [`passed in ${EDGE_MS} ms at an edge`]: edge,
          'of those allowed': BURST + (PER_SECOND * EDGE_MS) / 1000,
          [`passed in ${seconds} s`]: all,
          'of those allowed then': BURST + PER_SECOND * seconds,
        },
      ] as const;
    }),
  );
  await process.stop();
  client.disconnect();
  return Object.fromEntries(rows);
}

/** One message opens a window; the next come just before that window ends, and just after. */
async function atEdge(attempt: Attempt, windowMs: number): Promise<number> {
  await attempt();
  await pause(windowMs - EDGE_MS / 2);
  return await passedIn(attempt, EDGE_MS);
}

/** As many as pass. */
async function passedIn(attempt: Attempt, ms: number): Promise<number> {
  const endMs = performance.now() + ms;
  let passed = 0;
  while (performance.now() < endMs) {
    while (performance.now() < endMs && (await attempt())) passed++;
    await pause(ATTEMPT_MS);
  }
  return passed;
}
