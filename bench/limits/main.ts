/**
 * npm run bench:limits: the lease script beside rate-limiter-flexible, against a redis-server of its own.
 * docs/benchmarks.md says what came of it.
 */
import { startRedis } from '../../test/support/servers/redis-server.js';
import { environment } from '../machine.js';
import { readOptions } from '../options.js';
import { measureCost } from './cost.js';
import { measureLending } from './lending.js';
import { measureOutage } from './outage.js';
import { measureWindows } from './window.js';

const { values: options } = readOptions('bench:limits -- [--quick] [--json]', {
  quick: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
});
const { quick } = options;

try {
  const redis = await startRedis();
  const about = environment({ 'redis-server': '--version' });
  const tables = {
    'a lease taken and given back, for each of the two calls': await measureCost(
      redis,
      quick ? 4000 : 100_000,
    ),
    'what passes, of a limit of 50 a second and a burst of 100': await measureWindows(redis, quick ? 4 : 20),
    'parts of a budget': await measureLending(redis),
    'Redis hung': await measureOutage(redis, quick ? 3000 : 10_000),
  };
  await redis.stop();
  if (options.json) console.log(JSON.stringify({ environment: about, ...tables }, null, 2));
  else {
    console.log(about);
    for (const [title, rows] of Object.entries(tables)) {
      console.log(`\n${title}`);
      console.table(rows);
    }
  }
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
