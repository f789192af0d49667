import type { Config, RouteTable } from '../../internal/config/config.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { Upstreams } from '../../internal/upstream/upstreams.js';
import type { Finding } from './finding.js';
import { HeardLog } from './heard-log.js';

/** Looks at every endpoint of the table as health checks do. */
export async function upstreams(config: Config, table: RouteTable): Promise<readonly Finding[]> {
  const { log } = new HeardLog();
  const metrics = new Metrics(config.telemetry.maxUsers);
  const own = new Upstreams(
    { ...config.upstream, controlTimeoutMs: config.session.controlTimeoutMs },
    metrics,
    log,
  );
  own.apply(table);
  try {
    return (await own.probe()).map(({ upstream, failure }) => ({
      about: 'upstream',
      state: failure === undefined ? 'good' : 'bad',
      text: failure === undefined ? upstream : `${upstream}: ${failure}`,
    }));
  } finally {
    own.stop();
  }
}
