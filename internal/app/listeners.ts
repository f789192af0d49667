import { AdminApi } from '../admin/api.js';
import type { AdminOperations } from '../admin/operations.js';
import type { TrustedIssuers } from '../auth/trusted-issuers.js';
import type { Config, RouteTable } from '../config/config.js';
import type { ListenerChoice } from '../gateway/choice.js';
import { discoveryAnswer } from '../gateway/discovery.js';
import type { Endpoint } from '../gateway/endpoint.js';
import { HttpEndpoints } from '../gateway/endpoints.js';
import type { Gate } from '../gateway/gate.js';
import type { HttpRoutes } from '../gateway/http-routes.js';
import type { Listener, ListenerParts } from '../gateway/listener.js';
import { AdminListener } from '../gateway/node/admin-listener.js';
import type { Sessions } from '../session/sessions.js';
import type { Log } from '../telemetry/log/log.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import type { Sockets } from '../upstream/socket/sockets.js';
import { version } from '../version.js';
import type { Siblings } from '../workers/siblings.js';

/** What the listeners hand requests to. */
export interface ListenersParts {
  readonly choice: ListenerChoice;
  /** Largest message size that any route allows a client. */
  readonly maxMessageBytes: number;
  readonly gate: Gate;
  readonly httpRoutes: HttpRoutes;
  readonly operations: AdminOperations;
  readonly tokenEndpoints: ReadonlyMap<string, Endpoint>;
  readonly keys: TrustedIssuers;
  readonly sessions: Sessions;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly sockets: Sockets;
  /** undefined: this process is the whole gateway. */
  readonly siblings: Siblings | undefined;
  table(): RouteTable;
}

export interface Listeners {
  readonly listener: Listener;
  /** undefined: the endpoints of the gateway itself are on the address for clients. */
  readonly adminListener: AdminListener | undefined;
}

/** The listener for clients, and one for metrics and the admin API where these have their own address. */
export async function createListeners(config: Config, parts: ListenersParts): Promise<Listeners> {
  const { choice, maxMessageBytes, gate, httpRoutes, sockets, siblings } = parts;
  const { keys, sessions, operations, log } = parts;
  const { admin: adminAddress, tls } = config.listen;
  const scraped = siblings ?? parts.metrics;
  const unready = () =>
    sessions.draining ? 'draining' : keys.ready ? undefined : 'no verification keys yet';
  const adminApi = new AdminApi({ token: config.adminToken, operations, log });
  const adminListener =
    adminAddress &&
    new AdminListener(
      { address: adminAddress, tls, gate, endpoints: new HttpEndpoints(scraped, unready, adminApi) },
      sockets,
      siblings?.connections.admin,
    );
  const endpoints = new HttpEndpoints(
    adminListener === undefined ? scraped : undefined,
    unready,
    adminListener === undefined ? adminApi : undefined,
    parts.tokenEndpoints,
    config.discovery
      ? () => discoveryAnswer({ version: version(), config, table: () => parts.table() })
      : undefined,
    config.listen.ownHosts,
  );
  const listener = await createListener(
    choice,
    { config: config.listen, maxMessageBytes, gate, endpoints, httpRoutes },
    sockets,
    siblings,
  );
  return { listener, adminListener };
}

/** Loads only the listener in use: the native library of the other one takes some megabytes. */
async function createListener(
  { kind }: ListenerChoice,
  parts: ListenerParts,
  sockets: Sockets,
  siblings: Siblings | undefined,
): Promise<Listener> {
  if (kind === 'uws') return new (await import('../gateway/uws/listener.js')).UwsListener(parts);
  return new (await import('../gateway/node/listener.js')).NodeListener(
    parts,
    sockets,
    siblings?.connections.clients,
  );
}
