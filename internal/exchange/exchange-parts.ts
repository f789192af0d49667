import type { Access } from '../access/access.js';
import type { SessionLog } from '../activity/session-log.js';
import type { Revocations } from '../auth/revocations/revocations.js';
import type { CredentialsConfig, RouteTable } from '../config/config.js';
import type { ConnectionLimit } from '../ratelimit/connection-limit.js';
import type { RouteRequests } from '../ratelimit/route-requests.js';
import type { TrustedProxies } from '../request/forwarded.js';
import type { AllowedOrigins } from '../request/origin.js';
import type { AccessLog } from '../telemetry/log/access-log.js';
import type { RecentRefusals } from '../telemetry/log/recent-refusals.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import type { Tracing } from '../telemetry/traces/tracing.js';
import type { Upstreams } from '../upstream/upstreams.js';
import type { Bootstraps } from './bootstrap/bootstraps.js';
import type { Exchanges } from './exchanges.js';

/** What all exchanges of a process share. */
export interface ExchangeParts {
  readonly credentials: CredentialsConfig;
  /** Whether there is a key source: without one, tokens are not the gateway's business. */
  readonly verifies: boolean;
  /** Whether ISSUERS_FILE is set. */
  readonly hasSeveralIssuers: boolean;
  readonly proxies: TrustedProxies;
  /** WS_ALLOWED_ORIGINS, and the request's own host. */
  readonly origins: AllowedOrigins;
  /** The route table in effect. */
  readonly table: () => RouteTable;
  readonly access: Access;
  readonly requests: Pick<RouteRequests, 'take'>;
  /** MAX_CONNECTIONS_PER_IP, shared with sockets and sessions. */
  readonly perIp: ConnectionLimit;
  readonly revocations: Pick<Revocations, 'revoke'>;
  readonly upstreams: Upstreams;
  readonly bootstraps: Pick<Bootstraps, 'enter'>;
  readonly exchanges: Exchanges;
  readonly refusals: Pick<RecentRefusals, 'add'>;
  /** Keeps long exchanges that have ended; undefined: they are not kept. */
  readonly history: Pick<SessionLog, 'ended'> | undefined;
  readonly metrics: Metrics;
  readonly tracing: Pick<Tracing, 'exchange'>;
  readonly accessLog: AccessLog;
}
