import type { UpstreamConfig, UpstreamRoute } from '../../config/config.js';
import { GatewayError } from '../../errors.js';
import type { Log } from '../../telemetry/log/log.js';
import type { Metrics } from '../../telemetry/metrics/metrics.js';
import type { DialTrace } from '../../telemetry/traces/dial-trace.js';
import { type Choice, choose, nowhere } from '../pool/balance.js';
import { type Cancellation, cancelled } from '../pool/cancellation.js';
import type { Destination } from '../pool/destination.js';
import type { Endpoint } from '../pool/endpoint.js';
import type { Endpoints } from '../pool/endpoints.js';
import type { Tenancy } from '../pool/tenancy.js';
import type { SocketTarget } from '../socket/socket.js';
import { targetOf } from '../socket/socket-target.js';
import type { TlsContexts } from '../socket/tls-contexts.js';
import type { UpstreamConnection } from './connection.js';
import type { ConnectionShared } from './connection-shared.js';
import { DialFailure } from './dial-failure.js';
import { shakeHands } from './handshake.js';
import { dialHeaders, type RequestFacts } from './headers.js';
import { openingRequest } from './opening-request.js';
import { targetUrl } from './target-url.js';

/** What a session asks of its upstream. */
export interface DialRequest extends RequestFacts {
  /** What follows the route's prefix in the decoded path: `RouteMatch.rest`. */
  readonly rest: string;
  /** The client's query as it came, without `?` and without token parameters. */
  readonly query: string;
  /** Offered to the upstream, in order. */
  readonly subprotocols: readonly string[];
  /** On a route whose upstream depends on who is calling. */
  readonly destination?: Destination | undefined;
  /** For the log: the id of the session. */
  readonly session?: string | undefined;
  /** Is told of every attempt; undefined: tracing is off. */
  readonly trace?: DialTrace | undefined;
}

export interface DialerParts {
  readonly config: UpstreamConfig;
  readonly endpoints: Endpoints;
  readonly contexts: TlsContexts;
  readonly shared: ConnectionShared;
  readonly metrics: Metrics;
  readonly log: Log;
}

const TOO_MANY_DIALS = 'no turn came in time among MAX_DIALS_PER_ENDPOINT';

/**
 * Connects a session to an upstream: chooses an endpoint, dials, tries again, and reports to the circuits.
 */
export class Dialer {
  constructor(readonly parts: DialerParts) {}

  /**
   * Dials a route's endpoints: another one at once, the same one again after the retry interval, up to the
   * number of attempts.
   * @throws GatewayError ERR_CIRCUIT_OPEN at once when no circuit lets a dial through, ERR_DIAL_FAILED when
   *   every attempt failed (`cause`: the last one), ERR_DIAL_CANCELLED when it was called off, ERR_NO_TARGET
   *   when its name resolves to no address that may be dialled.
   */
  async dial(
    route: UpstreamRoute,
    request: DialRequest,
    cancellation?: Cancellation,
  ): Promise<UpstreamConnection> {
    const { config, endpoints, metrics } = this.parts;
    const balance = endpoints.of(route, request.destination);
    const order = balance.order(request.identity?.sub ?? request.client.ip);
    const tried = new Set<Endpoint>();
    let failure: DialFailure | undefined;
    for (let attempt = 1; attempt <= config.dialAttempts; attempt++) {
      let choice = choose(order, tried);
      if (choice === undefined && tried.size > 0 && balance.available) {
        await interval(config.dialIntervalMs, cancellation);
        tried.clear();
        choice = choose(order, tried);
      }
      if (choice === undefined) break;
      if (attempt > 1) metrics.upstreams.retries.inc({ protocol: request.protocol });
      const { endpoint } = choice;
      const startedMs = performance.now();
      const tenancy = endpoint.tenancy(route, request);
      endpoint.expect(tenancy);
      let hasTurn = false;
      try {
        const turn = endpoint.turns.take(connectMs(route) ?? config.dialTimeoutMs, cancellation);
        hasTurn = turn === undefined || (await turn);
        if (!hasTurn) throw new DialFailure(TOO_MANY_DIALS, undefined, 'unreachable');
        // The circuit opened while it waited for its turn: another endpoint is tried.
        if (!endpoint.breaker.honours(choice.permit)) {
          tried.add(endpoint);
          continue;
        }
        const connection = await this.#shakeHands(endpoint, tenancy, request, cancellation);
        endpoint.breaker.succeeded(choice.permit, tenancy.client);
        if (!connection.ended) tenancy.opened();
        metrics.upstreams.dialSeconds.observe(
          (performance.now() - startedMs) / 1000,
          metrics.routeLabel(route),
        );
        this.#count(tenancy, 'ok');
        return connection;
      } catch (thrown) {
        failure = this.#failed(thrown, choice, tenancy, request);
        tried.add(endpoint);
      } finally {
        endpoint.expected(tenancy);
        if (hasTurn) endpoint.turns.give();
      }
    }
    if (failure !== undefined) {
      throw new GatewayError(
        'ERR_DIAL_FAILED',
        `no dial for ${route.prefix} succeeded; the last: ${failure.message}`,
        {
          cause: failure,
        },
      );
    }
    throw nowhere(route, order);
  }

  #shakeHands(
    endpoint: Endpoint,
    tenancy: Tenancy,
    request: DialRequest,
    cancellation: Cancellation | undefined,
  ): Promise<UpstreamConnection> {
    const { config, contexts, shared } = this.parts;
    request.trace?.attempt(endpoint.url);
    const { rest, query } = request;
    const { appendPath, preserveQuery } = tenancy.route;
    return shakeHands({
      target: socketTarget(endpoint, contexts),
      request: openingRequest(
        hostFor(tenancy.route, request) || endpoint.address.host,
        targetUrl(endpoint.address, { appendPath, rest, preserveQuery, query }),
        request.subprotocols,
        dialHeaders(request, tenancy.route),
        shared.keys.next(),
      ),
      timeoutMs: connectMs(tenancy.route) ?? config.dialTimeoutMs,
      shared,
      tenancy,
      cancellation,
    });
  }

  #count({ route, name }: Tenancy, result: 'ok' | 'failed'): void {
    const { metrics } = this.parts;
    metrics.upstreams.dials.inc({
      route: metrics.routeLabel(route),
      // Endpoints of targets have no metrics of their own, as there may be one for each user.
      upstream: metrics.upstreamLabel(route.target?.name ?? name),
      result,
    });
  }

  /**
   * Logs a failed attempt, and counts it against the endpoint if it is at fault.
   * @throws what was thrown, if the endpoint has no part in it: cancelled, or a request that cannot be
   *   written.
   */
  #failed(
    thrown: unknown,
    { endpoint, permit }: Choice,
    tenancy: Tenancy,
    request: DialRequest,
  ): DialFailure {
    const { breaker } = endpoint;
    const { client, route } = tenancy;
    if (!(thrown instanceof DialFailure)) {
      breaker.released(permit);
      throw thrown;
    }
    this.#count(tenancy, 'failed');
    request.trace?.attemptFailed(thrown.status);
    // To the upstream of an HTTP route a handshake is a request like any other, whose 5xx is no fault either.
    const isAnswer = route.kind === 'http' && thrown.isAnswer;
    if (thrown.isAboutTheRequest || isAnswer) breaker.succeeded(permit, client);
    else if (thrown.isLocal || thrown.message === TOO_MANY_DIALS) breaker.released(permit);
    else endpoint.dialFailed(permit, thrown.fault, client);
    this.parts.log.warn(
      {
        session: request.session,
        upstream: endpoint.name,
        route: route.prefix,
        status: thrown.status,
        reason: thrown.message,
      },
      'dial failed',
    );
    return thrown;
  }
}

/** The client's own Host, if the route passes it on (SPEC section 17). */
function hostFor(route: UpstreamRoute, { headers }: DialRequest): string | undefined {
  return route.kind === 'http' && route.preserveHost ? headers.get('host')?.[0] : undefined;
}

/** @throws DialFailure when the TLS settings cannot be used. */
export function socketTarget(endpoint: Endpoint, contexts: TlsContexts): SocketTarget {
  try {
    return targetOf(endpoint, contexts);
  } catch (cause) {
    throw new DialFailure('its TLS settings are not usable', undefined, 'unreachable', { cause });
  }
}

function interval(ms: number, cancellation: Cancellation | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (cancellation?.cancelled) return reject(cancelled());
    const timer = setTimeout(() => {
      cancellation?.watch(undefined);
      resolve();
    }, ms);
    cancellation?.watch(() => {
      clearTimeout(timer);
      reject(cancelled());
    });
  });
}

/** The route's own connect timeout; that of an HTTP route is for its exchanges. */
function connectMs(route: UpstreamRoute): number | undefined {
  return route.kind === 'websocket' ? route.timeouts.connectMs : undefined;
}
