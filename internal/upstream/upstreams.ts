import {
  type HttpRoute,
  hasUpstreams,
  type Route,
  type UpstreamConfig,
  type UpstreamRoute,
} from '../config/config.js';
import type { Log } from '../telemetry/log/log.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import { MaskingKeys } from '../websocket/frame.js';
import type { Drains } from './drains.js';
import { Pools } from './http/pools.js';
import { type AnswerListener, type HttpRequest, Sending } from './http/sending.js';
import { Cancellation } from './pool/cancellation.js';
import { CircuitBreaker, type CircuitBreakerSources, type CircuitState } from './pool/circuit-breaker.js';
import { Endpoint, upstreamNames } from './pool/endpoint.js';
import { Endpoints } from './pool/endpoints.js';
import type { MakeEndpoint } from './pool/made-endpoints.js';
import type { Tenancy } from './pool/tenancy.js';
import { Sockets } from './socket/sockets.js';
import { TlsContexts } from './socket/tls-contexts.js';
import type { UpstreamConnection } from './websocket/connection.js';
import type { ConnectionShared } from './websocket/connection-shared.js';
import { Dialer, type DialRequest } from './websocket/dial.js';
import { FrameWriter } from './websocket/frame-writer.js';
import { Health, type HealthCheck, probe } from './websocket/health.js';
import { HandshakeKeys } from './websocket/opening-request.js';
import { ReadBatch } from './websocket/read-batch.js';

export { Cancellation } from './pool/cancellation.js';
export type { DialRequest } from './websocket/dial.js';

export interface UpstreamsOptions extends UpstreamConfig {
  /** Time for a closing handshake. */
  readonly controlTimeoutMs: number;
}

/** The state of an endpoint, for the admin API. */
export interface EndpointSnapshot {
  /** URL without credentials and query. */
  readonly upstream: string;
  readonly circuit: CircuitState;
  /** Consecutive faults; 0 unless the circuit is closed. */
  readonly faults: number;
  readonly sessions: number;
  /** Whether it is drained: no new client is sent there. */
  readonly drained: boolean;
}

/** The result of one health check. */
export interface EndpointHealth {
  /** URL without credentials and query. */
  readonly upstream: string;
  /** undefined: healthy. */
  readonly failure: string | undefined;
}

/** `ws_circuit_state` (SPEC section 12). */
const STATE_VALUES: Readonly<Record<CircuitState, number>> = { closed: 0, 'half-open': 1, open: 2 };

const SOURCES: CircuitBreakerSources = { nowMs: () => performance.now(), random: Math.random };

/**
 * All upstreams: the endpoints of the current table, their circuits and health, and the ways to dial them.
 */
export class Upstreams {
  readonly #endpoints: Endpoints;
  readonly #dialer: Dialer;
  readonly #health: Health;
  readonly #pools: Pools;

  /**
   * @param sources clock and random numbers, for tests; likewise sockets.
   * @param drains the drained endpoints; after a change `setDrained` has to be called.
   */
  constructor(
    options: UpstreamsOptions,
    readonly metrics: Metrics,
    log: Log,
    sources: CircuitBreakerSources = SOURCES,
    sockets: Sockets = new Sockets(),
    drains: Pick<Drains, 'has'> = { has: () => false },
  ) {
    const shared: ConnectionShared = {
      sockets,
      writer: new FrameWriter(options.masking === 'random' ? new MaskingKeys() : undefined),
      batch: new ReadBatch(),
      keys: new HandshakeKeys(),
      controlTimeoutMs: options.controlTimeoutMs,
    };
    const contexts = new TlsContexts();
    const pools = new Pools(contexts, sockets);
    const make: MakeEndpoint = (url, tls, admits) => {
      const breaker = new CircuitBreaker(options, sources, (circuit) => {
        log.warn({ upstream: endpoint.name, circuit }, 'circuit changed');
      });
      const { maxDialsPerEndpoint } = options;
      const endpoint = new Endpoint(url, tls, breaker, sources.nowMs, maxDialsPerEndpoint, admits);
      endpoint.drained = drains.has(endpoint.name);
      return endpoint;
    };
    const endpoints = new Endpoints(make, (endpoint) => pools.release(endpoint));
    this.#endpoints = endpoints;
    this.#pools = pools;
    this.#dialer = new Dialer({ config: options, endpoints, contexts, shared, metrics, log });
    this.#health = new Health({ config: options, contexts, shared, metrics, log, random: sources.random });
    metrics.beforeScrape(() => this.#showCircuits());
  }

  /**
   * Takes over a table: dials of its routes, health checks of its endpoints.
   * @returns the tenancies whose owner is to close them (`onRemove: close`).
   */
  apply(table: {
    readonly routes: readonly Route[];
  }): ReadonlySet<Pick<Tenancy, 'name' | 'ended' | 'evicted'>> {
    const routes = table.routes.filter(hasUpstreams);
    this.metrics.nameUpstreams(upstreamNames(routes));
    const orphans = this.#endpoints.apply(routes);
    this.#health.apply(healthChecks(routes, this.#endpoints));
    this.#pools.retain(this.#endpoints.all);
    return orphans;
  }

  /**
   * An open connection to one of the route's endpoints, not yet reading: see `UpstreamConnection.start`.
   * @throws GatewayError ERR_CIRCUIT_OPEN, ERR_DIAL_FAILED or ERR_DIAL_CANCELLED; see `Dialer.dial`.
   */
  dial(route: UpstreamRoute, request: DialRequest, cancellation?: Cancellation): Promise<UpstreamConnection> {
    return this.#dialer.dial(route, request, cancellation);
  }

  /**
   * An HTTP request to one of the route's endpoints, sent once it is started; the listener is given the
   * answer.
   */
  send(route: HttpRoute, request: HttpRequest, listener: AnswerListener): Sending {
    return new Sending(route, request, listener, this.#endpoints, this.#pools);
  }

  /** The endpoints of the current table, and those made for the targets of users. */
  snapshot(endpoints: Iterable<Endpoint> = this.#endpoints.all): readonly EndpointSnapshot[] {
    return Array.from(endpoints, ({ name, breaker, sessions, drained }) => ({
      upstream: name,
      circuit: breaker.state,
      faults: breaker.faults,
      sessions,
      drained,
    }));
  }

  /** Checks every endpoint of the current table once, without any user's credentials. */
  probe(): Promise<readonly EndpointHealth[]> {
    const never = new Cancellation();
    return Promise.all(
      this.#health.checks.map(async (check) => ({
        upstream: check.endpoint.name,
        failure: (await probe(this.#health.parts, check, never))?.message,
      })),
    );
  }

  /**
   * Closes the circuit of an endpoint and forgets its faults.
   * @returns whether there is an endpoint of that name.
   */
  resetCircuit(name: string): boolean {
    // Endpoints that differ in query or TLS settings share a name.
    const named = [...this.#endpoints.all].filter((endpoint) => endpoint.name === name);
    for (const { breaker } of named) {
      breaker.closedProperly();
      breaker.healthy();
    }
    return named.length > 0;
  }

  /** Whether the current table, or somebody's target, has an endpoint of that name. */
  knows(name: string): boolean {
    return [...this.#endpoints.all].some((endpoint) => endpoint.name === name);
  }

  /**
   * Stops or resumes sending new clients to the endpoints of that name.
   * @returns their present tenancies.
   */
  setDrained(name: string, drained: boolean): ReadonlySet<Tenancy> {
    return this.#endpoints.setDrained(name, drained);
  }

  /** Ends the health checks and idle connections. Those of WebSockets belong to their sessions. */
  stop(): void {
    this.#health.stop();
    this.#pools.destroy();
  }

  #showCircuits(): void {
    const { circuitState } = this.metrics.upstreams;
    circuitState.reset();
    const worst = new Map<string, number>();
    // Endpoints that differ in query or TLS settings share a name, which shows the worst of them. Those of
    // targets have no series, as callers determine how many there are.
    for (const { upstream, circuit } of this.snapshot(this.#endpoints.named)) {
      worst.set(upstream, Math.max(worst.get(upstream) ?? 0, STATE_VALUES[circuit]));
    }
    for (const [upstream, value] of worst) circuitState.set({ upstream }, value);
  }
}

/** One check per endpoint, by the first route that configures one. */
function healthChecks(routes: readonly UpstreamRoute[], endpoints: Endpoints): HealthCheck[] {
  const checks = new Map<Endpoint, HealthCheck>();
  for (const route of routes) {
    const subprotocols = route.protocol === 'raw' ? [] : ['mqtt'];
    for (const endpoint of endpoints.of(route).endpoints) {
      const known = checks.get(endpoint);
      if (known === undefined) checks.set(endpoint, { endpoint, http: route.health, subprotocols });
      else if (known.http === undefined && route.health !== undefined) {
        checks.set(endpoint, { ...known, http: route.health });
      }
    }
  }
  return [...checks.values()];
}
