import type { Access } from '../access/access.js';
import type { CredentialsConfig, RouteTable } from '../config/config.js';
import type { FailedLogins } from '../ratelimit/failed-logins.js';
import type { TrustedProxies } from '../request/forwarded.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Upstreams } from '../upstream/upstreams.js';
import type { Exchanges } from './exchanges.js';

/** What all exchanges of a process share. */
export interface ExchangeParts {
  readonly credentials: CredentialsConfig;
  /** Whether tokens can be verified at all: without a key source what looks like one is somebody else's. */
  readonly verifies: boolean;
  readonly proxies: TrustedProxies;
  /** The table in effect. */
  readonly table: () => RouteTable;
  readonly access: Access;
  readonly failedLogins: FailedLogins;
  readonly upstreams: Upstreams;
  readonly exchanges: Exchanges;
  readonly metrics: Metrics;
  readonly log: Log;
}
