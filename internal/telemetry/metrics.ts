import { type Aggregator, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { CLOSE_REASONS } from '../close-codes.js';
import { BoundedLabel } from './bounded-label.js';
import { Durations } from './durations.js';
import { SharedRendering } from './exposition.js';
import { HttpMetrics } from './http-metrics.js';
import { Tally } from './tally.js';

/** Upper bounds of `ws_connection_duration_seconds`: 0.1 s to 1 day. */
const DURATION_BUCKETS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400];
/** Upper bounds of the dial and authentication histograms, in seconds. */
const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The values of labels that have few: their series are there from the start, so that a rate sees the first event. */
const PROTOCOLS = ['mqtt', 'raw', 'stomp', 'graphql'];
const DIRECTIONS = ['client_to_upstream', 'upstream_to_client'];
const RELOAD_RESULTS = ['ok', 'failed'];
/** Values kept of the labels that the routes file decides about; and what stands for a client without a route. */
const MAX_ROUTES = 200;
const NO_ROUTE = '_none';
/** Routes of which every reason to close is there from the start: with more, all these zeros would be most of a scrape. */
const MAX_PREPARED_ROUTES = 20;
/** Gauges of prom-client's that pose as counters, which `promtool check metrics` objects to: sums over a metric that stays. */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);
/** What a well-formed opening handshake can be refused with (SPEC section 4). */
const REFUSAL_STATUSES = [400, 403, 404, 429, 503];

/** The values of all metrics as plain data, which can cross between processes. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/**
 * Every metric of the gateway (SPEC section 12), one registry per process. Message and byte counts are kept as plain
 * numbers on the sessions and folded in by the `beforeScrape` hooks, so the message path never meets this class.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #hooks: (() => void)[] = [];
  readonly #users: BoundedLabel;
  readonly #names: BoundedLabel;
  readonly #keys: BoundedLabel;
  readonly #routes = new BoundedLabel(MAX_ROUTES);
  readonly #upstreams = new BoundedLabel(MAX_ROUTES);
  /** Those that write their own text, by name. */
  readonly #tallies = new Map<string, { text(): string }>();
  readonly #rendering = new SharedRendering(() => this.#render());

  /** SPEC section 17. */
  readonly http = new HttpMetrics(this.registry);
  readonly connections = this.#counter(
    'ws_connections_total',
    'Well-formed opening handshakes, refused ones too',
  );
  readonly handshakesRefused = this.#counter(
    'ws_handshakes_refused_total',
    'Well-formed opening handshakes answered with an HTTP error',
    ['status'],
  );
  readonly refused = this.#counter(
    'ws_refused_total',
    'Requests answered with an HTTP error before a session or an exchange; status closed: connections closed at accept',
    ['status', 'route'],
  );
  readonly authFailures = this.#counter('ws_auth_failures_total', 'Clients whose authentication failed');
  readonly authSuccess = this.#counter('ws_auth_success_total', 'Clients authenticated', [
    'sub',
    'preferred_username',
  ]);
  readonly activeSessions = this.#gauge('ws_active_sessions', 'Live client connections', ['route']);
  readonly connectionDuration = this.#durations(
    'ws_connection_duration_seconds',
    'Lifetime of client connections, from the 101',
    DURATION_BUCKETS,
  );
  // Every worker takes each into effect: the supervisor's own count, which is aggregated first, tells them once.
  readonly revocations = this.#counter('ws_revocations_total', 'Revocations taken into effect', [], 'first');
  readonly bans = this.#counter('ws_bans_total', 'Bans taken into effect', [], 'first');
  readonly bansUnsent = this.#gauge(
    'ws_bans_unsent',
    'Bans, and liftings of them, that the store has yet to be told',
  );
  readonly activityDropped = this.#counter(
    'ws_activity_dropped_total',
    'Ended sessions that could not be kept',
  );
  readonly revocationsUnsent = this.#gauge(
    'ws_revocations_unsent',
    'Revocations that the store has yet to be told',
  );
  readonly protocolConnections = this.#counter(
    'ws_protocol_connections_total',
    'Sessions by the protocol found',
    ['protocol'],
  );
  readonly proxyErrors = this.#counter('ws_proxy_errors_total', 'Sessions that failed on the upstream side', [
    'protocol',
  ]);
  readonly proxyRetries = this.#counter('ws_proxy_retries_total', 'Dial attempts after the first', [
    'protocol',
  ]);
  readonly circuitOpen = this.#counter(
    'ws_circuit_open_total',
    'Sessions refused because every circuit was open',
    ['protocol'],
  );
  readonly upstreamHealthSuccess = this.#counter(
    'ws_upstream_health_success_total',
    'Health checks that succeeded',
  );
  readonly upstreamHealthFailure = this.#counter(
    'ws_upstream_health_failure_total',
    'Health checks that failed',
  );
  readonly rateLimitViolations = this.#counter(
    'ws_rate_limit_violations_total',
    'Sessions closed by a rate limit',
    ['key'],
  );
  readonly messages = this.#counter('ws_messages_total', 'Messages forwarded', [
    'direction',
    'protocol',
    'route',
  ]);
  readonly bytes = this.#counter('ws_bytes_total', 'Payload bytes forwarded', [
    'direction',
    'protocol',
    'route',
  ]);
  readonly sessionClosed = this.#counter('ws_session_closed_total', 'Ended sessions by reason', [
    'reason',
    'route',
  ]);
  readonly upstreamDials = this.#counter('ws_upstream_dials_total', 'Dial attempts by their outcome', [
    'route',
    'upstream',
    'result',
  ]);
  readonly upstreamDial = this.#durations(
    'ws_upstream_dial_seconds',
    'Time from the start of a dial attempt to its success',
    LATENCY_BUCKETS,
    ['route'],
  );
  readonly auth = this.#durations(
    'ws_auth_seconds',
    'Time to verify a token, cache included',
    LATENCY_BUCKETS,
  );
  readonly tokenCache = this.#counter('ws_token_cache_total', 'Token cache look-ups', ['store', 'result']);
  readonly circuitState = this.#gauge(
    'ws_circuit_state',
    'Circuit per upstream: 0 closed, 1 half-open, 2 open',
    ['upstream'],
    'max',
  );
  readonly bufferedBytes = this.#gauge('ws_buffered_bytes', 'Bytes waiting for a slow peer', ['direction']);
  readonly backpressure = this.#counter(
    'ws_backpressure_total',
    'Times a slow peer made the gateway pause or close',
    ['direction'],
  );
  readonly dependencyUp = this.#gauge(
    'ws_dependency_up',
    'Whether a dependency answers and refuses no part of the work: 1 or 0',
    ['dependency'],
    'min',
  );
  readonly certificateExpiry = this.#gauge(
    'ws_certificate_expiry_timestamp_seconds',
    'When the certificate that clients are shown ends, in seconds since the epoch; none without TLS',
    ['file'],
    'min',
  );
  readonly configReloads = this.#counter('ws_config_reloads_total', 'Reloads of the routes file', ['result']);

  // Not the other way round: the supervisor, which says neither, must not count as a process that is not ready.
  readonly unready = this.#gauge(
    'ws_unready',
    'Whether /readyz answers 503 for this reason: 1 or 0',
    ['reason'],
    'max',
  );
  readonly buildInfo = this.#gauge(
    'ws_build_info',
    'Always 1: which gateway this is, on which Node.js, with which listener',
    ['version', 'node', 'listener'],
    'max',
  );
  readonly workersReplaced = this.#counter(
    'ws_workers_replaced_total',
    'Worker processes that ended by themselves and were replaced',
  );

  /** @param maxUsers distinct values kept for each user-valued label. */
  constructor(maxUsers: number) {
    this.#users = new BoundedLabel(maxUsers);
    this.#names = new BoundedLabel(maxUsers);
    this.#keys = new BoundedLabel(maxUsers);
    this.#startAtZero();
  }

  /** Starts the process metrics (event loop lag, memory, descriptors). */
  collectProcessMetrics(): void {
    collectDefaultMetrics({ register: this.registry });
    for (const name of MISNAMED) this.registry.removeSingleMetric(name);
  }

  countAuthSuccess(sub: string, preferredUsername: string): void {
    this.authSuccess.inc({ sub: this.#users.of(sub), preferred_username: this.#names.of(preferredUsername) });
  }

  countRateLimitViolation(key: string): void {
    this.rateLimitViolations.inc({ key: this.#keys.of(key) });
  }

  /** The `route` label of what happens on a route; undefined: none was chosen. At most 200 are told apart. */
  routeLabel(route: { readonly prefix: string } | undefined): string {
    return route === undefined ? NO_ROUTE : this.#routes.of(route.prefix);
  }

  /** The `upstream` label of an endpoint, by its name, bounded likewise. */
  upstreamLabel(name: string): string {
    return this.#upstreams.of(name);
  }

  /** Has the series of a table's routes appear before their first event, so that a rate sees it. */
  prepareRoutes(routes: readonly { readonly prefix: string }[]): void {
    for (const route of routes.slice(0, MAX_PREPARED_ROUTES)) this.#prepare(this.routeLabel(route));
  }

  #prepare(route: string): void {
    for (const protocol of PROTOCOLS)
      for (const direction of DIRECTIONS)
        for (const counter of [this.messages, this.bytes]) counter.inc({ direction, protocol, route }, 0);
    for (const { name } of Object.values(CLOSE_REASONS)) this.sessionClosed.inc({ reason: name, route }, 0);
    this.upstreamDial.appear({ route });
  }

  /** Runs `hook` before every scrape, for values that are kept elsewhere until then. */
  beforeScrape(hook: () => void): void {
    this.#hooks.push(hook);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** The text exposition format. */
  scrape(): Promise<string> {
    return this.#rendering.get();
  }

  async #render(): Promise<string> {
    for (const hook of this.#hooks) hook();
    const texts = this.registry
      .getMetricsAsArray()
      .map(({ name }) => this.#tallies.get(name)?.text() ?? this.registry.getSingleMetricAsString(name));
    return `${(await Promise.all(texts)).join('\n\n')}\n`;
  }

  async snapshot(): Promise<MetricsSnapshot> {
    for (const hook of this.#hooks) hook();
    return this.registry.getMetricsAsJSON();
  }

  /** Another process' snapshot with the user-valued labels bounded over all that this object sees. */
  bounded(snapshot: MetricsSnapshot): MetricsSnapshot {
    const bounds: Readonly<Record<string, BoundedLabel>> = {
      sub: this.#users,
      preferred_username: this.#names,
      key: this.#keys,
    };
    const bound = ([name, value]: [string, unknown]) => [name, bounds[name]?.of(String(value)) ?? value];
    return snapshot.map((metric) => ({
      ...metric,
      values: metric.values.map((each) => ({
        ...each,
        labels: Object.fromEntries(Object.entries(each.labels).map(bound)),
      })),
    }));
  }

  #startAtZero(): void {
    const { protocolConnections, proxyErrors, proxyRetries, circuitOpen } = this;
    for (const protocol of PROTOCOLS)
      for (const counter of [protocolConnections, proxyErrors, proxyRetries, circuitOpen])
        counter.inc({ protocol }, 0);
    for (const direction of DIRECTIONS) this.backpressure.inc({ direction }, 0);
    // Whoever is refused before a route is chosen.
    for (const { name } of Object.values(CLOSE_REASONS))
      this.sessionClosed.inc({ reason: name, route: NO_ROUTE }, 0);
    for (const result of RELOAD_RESULTS) this.configReloads.inc({ result }, 0);
    for (const status of REFUSAL_STATUSES) {
      this.handshakesRefused.inc({ status }, 0);
      this.refused.inc({ status: String(status), route: NO_ROUTE }, 0);
    }
  }

  #counter<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    aggregator: Aggregator = 'sum',
  ): Tally<L> {
    const tally = new Tally({ name, help, labelNames, aggregator, registers: [this.registry] });
    this.#tallies.set(name, tally);
    return tally;
  }

  /** @param aggregator how the values of several workers become one. */
  #gauge<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    aggregator: Aggregator = 'sum',
  ): Gauge<L> {
    return new Gauge({ name, help, labelNames, aggregator, registers: [this.registry] });
  }

  #durations<L extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly L[] = [],
  ): Durations<L> {
    return new Durations({ name, help, buckets, labelNames, registers: [this.registry] });
  }
}
