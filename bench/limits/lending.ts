import { setTimeout as pause } from 'node:timers/promises';
import { RateLimiterRedis, type RateLimiterRes } from 'rate-limiter-flexible';
import type { Budget } from '../../internal/ratelimit/lease-ledger.js';
import type { RedisServer } from '../../test/support/servers/redis-server.js';
import { connectAsGateway, LeasingProcess } from './contestants.js';

const [PER_SECOND, BURST, LEASE] = [100, 100, 10];
/** Longer than it takes for the budget to be full again, and for a window to be over. */
const LATER_MS = 1200;

/** Lending parts of a budget: what becomes of one that comes back late, and of a demand for too much. */
export async function measureLending(redis: RedisServer): Promise<Record<string, object>> {
  const client = await connectAsGateway(redis.port);
  const process = await LeasingProcess.start(redis.url, PER_SECOND, BURST);
  const { ledger } = process;
  const flexible = new RateLimiterRedis({ storeClient: client, points: BURST, duration: BURST / PER_SECOND });
  const budget = (name: string): Budget => ({
    name: `bench:${name}`,
    perSecond: PER_SECOND,
    burst: BURST,
    leases: BURST / LEASE,
  });

  const late = budget('late');
  await ledger.settle(late, 'one', 1, 0);
  await flexible.consume('late', LEASE);
  await pause(LATER_MS);
  await ledger.settle(late, 'one', -1, LEASE);
  const rewarded = await flexible.reward('late', LEASE);
  const whole = await ledger.settle(late, 'other', 10, 0);

  const scarce = budget('scarce');
  await ledger.settle(scarce, 'one', 9, 0);
  const rest = await ledger.settle(scarce, 'other', 10, 0);
  await flexible.consume('scarce', BURST - LEASE / 2);
  const refused = await flexible.consume('scarce', LEASE).catch((result: RateLimiterRes) => result);
  const smaller = await flexible.consume('scarce', LEASE / 2).then(
    () => true,
    () => false,
  );
  await process.stop();
  client.disconnect();
  return {
    'lease script': {
      [`budget of ${BURST} after a lease came back late`]: whole.tokens.toFixed(0),
      'asked for more than is left': `gets what is left: ${rest.held} of 10 leases, ${rest.tokens.toFixed(0)} tokens`,
    },
    'rate-limiter-flexible': {
      [`budget of ${BURST} after a lease came back late`]: BURST - rewarded.consumedPoints,
      'asked for more than is left': `gets none; counted as ${refused.consumedPoints} spent; the ${LEASE / 2} left ${smaller ? 'are there' : 'are lost'}`,
    },
  };
}
