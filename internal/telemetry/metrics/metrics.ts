import { collectDefaultMetrics, Registry } from 'prom-client';
import { CLOSE_REASONS } from '../../close-codes.js';
import { PROTOCOL_NAMES } from '../../protocol-names.js';
import { authMetrics } from './auth-metrics.js';
import { BoundedLabel, MAX_ROUTES, NO_ROUTE } from './bounded-label.js';
import { SharedRendering } from './exposition.js';
import { HttpMetrics } from './http-metrics.js';
import { messageMetrics } from './message-metrics.js';
import { MetricMaker } from './metric-maker.js';
import { processMetrics } from './process-metrics.js';
import { sessionMetrics } from './session-metrics.js';
import { DIALS, upstreamMetrics } from './upstream-metrics.js';

/**
 * The values of labels that have few: their series are there from the start, so that a
 * rate sees the first event.
 */
const DIRECTIONS = ['client_to_upstream', 'upstream_to_client'];
const RELOAD_RESULTS = ['ok', 'failed'];
/**
 * Routes of which every reason to close is there from the start: with more, all these zeros
 * would be most of a scrape.
 */
const MAX_PREPARED_ROUTES = 20;
/**
 * Gauges of prom-client's that pose as counters, which `promtool check metrics` objects to: sums
 * over a metric that stays.
 */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);
const EVENT_LOOP_LAG = 'nodejs_eventloop_lag_';
/** The longest that a timer waits for. */
const NEVER_MS = 2_147_483_647;
/** What a well-formed opening handshake can be refused with (SPEC section 4). */
const REFUSAL_STATUSES = [400, 401, 403, 404, 426, 429, 503];

/** The values of all metrics as plain data, which can cross between processes. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/**
 * Every metric of the gateway (SPEC section 12), by theme, one registry per process. Message and byte
 * counts are kept as plain numbers on the sessions and folded in by the `beforeScrape` hooks, so the
 * message path never meets this class.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #hooks: (() => void)[] = [];
  readonly #users: BoundedLabel;
  readonly #names: BoundedLabel;
  readonly #keys: BoundedLabel;
  readonly #routes = new BoundedLabel(MAX_ROUTES, NO_ROUTE);
  readonly #upstreams = new BoundedLabel(MAX_ROUTES);
  readonly #make = new MetricMaker(this.registry);
  readonly #rendering = new SharedRendering(() => this.#render());

  /** SPEC section 17. */
  readonly http = new HttpMetrics(this.registry, this.#routes);
  readonly sessions = sessionMetrics(this.#make);
  readonly auth = authMetrics(this.#make);
  readonly messages = messageMetrics(this.#make);
  readonly upstreams = upstreamMetrics(this.#make);
  readonly process = processMetrics(this.#make);

  /** @param maxUsers distinct values kept for each user-valued label. */
  constructor(maxUsers: number) {
    this.#users = new BoundedLabel(maxUsers);
    this.#names = new BoundedLabel(maxUsers);
    this.#keys = new BoundedLabel(maxUsers);
    this.#startAtZero();
  }

  /**
   * Starts the process metrics (event loop lag, memory, descriptors).
   * @param withLag that of the event loop too: looking at it wakes an idle process a hundred times a second.
   */
  collectProcessMetrics(withLag = true): void {
    const precision = withLag ? {} : { eventLoopMonitoringPrecision: NEVER_MS };
    collectDefaultMetrics({ register: this.registry, ...precision });
    const lag = this.registry.getMetricsAsArray().filter(({ name }) => name.startsWith(EVENT_LOOP_LAG));
    const left = [...MISNAMED, ...(withLag ? [] : lag.map(({ name }) => name))];
    for (const name of left) this.registry.removeSingleMetric(name);
  }

  countAuthSuccess(sub: string, preferredUsername: string): void {
    this.auth.success.inc({
      sub: this.#users.of(sub),
      preferred_username: this.#names.of(preferredUsername),
    });
  }

  countRateLimitViolation(key: string): void {
    this.sessions.rateLimitViolations.inc({ key: this.#keys.of(key) });
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
    this.nameRoutes(routes);
    for (const route of routes.slice(0, MAX_PREPARED_ROUTES)) this.#prepare(this.routeLabel(route));
  }

  /**
   * Tells the first routes of a table apart, whichever are met first: so do all
   * processes with the same table.
   */
  nameRoutes(routes: readonly { readonly prefix: string }[]): void {
    for (const route of routes) this.routeLabel(route);
  }

  /** Likewise the upstreams that it names: which of them is dialled first is up to each process' clients. */
  nameUpstreams(names: readonly string[]): void {
    for (const name of names) this.upstreamLabel(name);
  }

  #prepare(route: string): void {
    const { forwarded, bytes } = this.messages;
    for (const protocol of PROTOCOL_NAMES)
      for (const direction of DIRECTIONS)
        for (const counter of [forwarded, bytes]) counter.inc({ direction, protocol, route }, 0);
    for (const { name } of Object.values(CLOSE_REASONS)) this.sessions.closed.inc({ reason: name, route }, 0);
    this.upstreams.dialSeconds.appear({ route });
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
    return await this.#make.text();
  }

  async snapshot(): Promise<MetricsSnapshot> {
    for (const hook of this.#hooks) hook();
    return this.registry.getMetricsAsJSON();
  }

  /**
   * Another process' snapshot with the labels that have a bound held to it over all that this object sees.
   */
  bounded(snapshot: MetricsSnapshot): MetricsSnapshot {
    const bounds: Readonly<Record<string, BoundedLabel>> = {
      sub: this.#users,
      preferred_username: this.#names,
      key: this.#keys,
      route: this.#routes,
    };
    const ofDials = { ...bounds, upstream: this.#upstreams };
    return snapshot.map((metric) => {
      const its: typeof bounds = metric.name === DIALS ? ofDials : bounds;
      const bound = ([name, value]: [string, unknown]) => [name, its[name]?.of(String(value)) ?? value];
      const values = metric.values.map((each) => ({
        ...each,
        labels: Object.fromEntries(Object.entries(each.labels).map(bound)),
      }));
      return { ...metric, values };
    });
  }

  #startAtZero(): void {
    const { byProtocol } = this.sessions;
    const { errors, retries, circuitOpen } = this.upstreams;
    for (const protocol of PROTOCOL_NAMES)
      for (const counter of [byProtocol, errors, retries, circuitOpen]) counter.inc({ protocol }, 0);
    for (const direction of DIRECTIONS) this.messages.backpressure.inc({ direction }, 0);
    // Whoever is refused before a route is chosen.
    for (const { name } of Object.values(CLOSE_REASONS))
      this.sessions.closed.inc({ reason: name, route: NO_ROUTE }, 0);
    for (const result of RELOAD_RESULTS) this.process.configReloads.inc({ result }, 0);
    for (const status of REFUSAL_STATUSES) {
      this.sessions.handshakesRefused.inc({ status }, 0);
      this.sessions.refused.inc({ status: String(status), route: NO_ROUTE }, 0);
    }
  }
}
