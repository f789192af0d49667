import { AggregatorRegistry } from 'prom-client';
import type { RouteTable } from '../config/config.js';
import type { Metrics, MetricsSnapshot } from '../telemetry/metrics/metrics.js';
import { upstreamNames } from '../upstream/pool/endpoint.js';

/** Ended workers whose counts are kept apart before they are summed up. */
const MAX_ENDED = 16;

/**
 * The metrics of all processes of a host, aggregated: counters and histograms are added up, gauges by the
 * rule of each. What ended workers had counted when last scraped is kept, so that no counter ever goes
 * backwards.
 */
export class HostMetrics {
  readonly #own: Metrics;
  #ended: readonly MetricsSnapshot[] = [];

  /** @param own the supervisor's; its bounds on user-valued labels hold over all workers. */
  constructor(own: Metrics) {
    this.#own = own;
  }

  /** Tells the label bounds about the routes and upstreams of a table, which keep labels of their own. */
  name({ routes }: Pick<RouteTable, 'routes'>): void {
    this.#own.nameRoutes(routes);
    this.#own.nameUpstreams(upstreamNames(routes));
  }

  /** The text exposition format. @param live a snapshot of each running worker. */
  async text(live: readonly MetricsSnapshot[]): Promise<string> {
    // A worker that ends from here on is in `live`.
    const ended = this.#ended;
    const own = await this.#own.snapshot();
    const members = [own, ...ended];
    for (const snapshot of live) members.push(this.#own.bounded(snapshot));
    if (ended.length > MAX_ENDED) await this.#condense();
    return AggregatorRegistry.aggregate(members.map(withStartTime)).metrics();
  }

  /** A worker has ended; `last` is its latest snapshot. */
  keepEnded(last: MetricsSnapshot): void {
    this.#ended = [...this.#ended, this.#own.bounded(last).filter(isCumulative)];
  }

  async #condense(): Promise<void> {
    const taken = this.#ended;
    const sum = await AggregatorRegistry.aggregate([...taken]).getMetricsAsJSON();
    this.#ended = [sum, ...this.#ended.slice(taken.length)];
  }
}

/** prom-client declares the type as an enumeration, but at run time it is a string. */
function isCumulative({ type }: MetricsSnapshot[number]): boolean {
  return ['counter', 'histogram'].includes(String(type));
}

/** prom-client leaves the start time out of sums: here it is that of the oldest process. */
function withStartTime(snapshot: MetricsSnapshot): MetricsSnapshot {
  return snapshot.map((metric) => (metric.aggregator === 'omit' ? { ...metric, aggregator: 'min' } : metric));
}
