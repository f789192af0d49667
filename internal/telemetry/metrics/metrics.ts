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
 * Values of labels that have few. Their series exist from the start, so that `rate()` sees the first event.
 */
const DIRECTIONS = ['client_to_upstream', 'upstream_to_client'];
const RELOAD_RESULTS = ['ok', 'failed'];
/**
 * Routes whose series exist from the start for every close reason; for more, all these zeros would be most of
 * a scrape.
 */
const MAX_PREPARED_ROUTES = 20;
/**
 * Gauges of prom-client with names of counters, to which `promtool check metrics` objects. They are removed:
 * the metrics whose sums they are stay.
 */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);
const EVENT_LOOP_LAG = 'nodejs_eventloop_lag_';
/** The longest delay that a timer can have. */
const NEVER_MS = 2_147_483_647;
/** Statuses with which a well-formed opening handshake can be refused (SPEC section 4). */
const REFUSAL_STATUSES = [400, 401, 403, 404, 426, 429, 503];

/** The values of all metrics as plain data, which can be sent between processes. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/**
 * Every metric of the gateway (SPEC section 12), by theme; one registry per process. Sessions count messages
 * and bytes in plain numbers, which `beforeScrape` hooks add up, so this class is never called per message.
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

  /** @param maxUsers distinct values kept for each label whose values are users. */
  constructor(maxUsers: number) {
    this.#users = new BoundedLabel(maxUsers);
    this.#names = new BoundedLabel(maxUsers);
    this.#keys = new BoundedLabel(maxUsers);
    this.#startAtZero();
  }

  /**
   * Starts the process metrics (event loop lag, memory, descriptors).
   * @param withLag whether to measure the event loop lag, which wakes an idle process a hundred times a
   * second.
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

  /** The `route` label of a route, one of 200 at most. @param route undefined: none was chosen. */
  routeLabel(route: { readonly prefix: string } | undefined): string {
    return route === undefined ? NO_ROUTE : this.#routes.of(route.prefix);
  }

  /** The `upstream` label of an endpoint, bounded likewise. */
  upstreamLabel(name: string): string {
    return this.#upstreams.of(name);
  }

  /** Creates the series of a table's routes before their first event, so that `rate()` sees it. */
  prepareRoutes(routes: readonly { readonly prefix: string }[]): void {
    this.nameRoutes(routes);
    for (const route of routes.slice(0, MAX_PREPARED_ROUTES)) this.#prepare(this.routeLabel(route));
  }

  /**
   * Reserves labels for the first routes of a table, independent of which are used first, so that all
   * processes with the same table keep the same ones.
   */
  nameRoutes(routes: readonly { readonly prefix: string }[]): void {
    for (const route of routes) this.routeLabel(route);
  }

  /** Likewise for its upstreams, as each process dials them in another order. */
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

  /** Runs `hook` before every scrape, to collect values that are counted elsewhere. */
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

  /** Applies the bounds of labels to the snapshot of another process, over all snapshots taken together. */
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
    // For clients that are refused before a route is chosen.
    for (const { name } of Object.values(CLOSE_REASONS))
      this.sessions.closed.inc({ reason: name, route: NO_ROUTE }, 0);
    for (const result of RELOAD_RESULTS) this.process.configReloads.inc({ result }, 0);
    for (const status of REFUSAL_STATUSES) {
      this.sessions.handshakesRefused.inc({ status }, 0);
      this.sessions.refused.inc({ status: String(status), route: NO_ROUTE }, 0);
    }
  }
}
