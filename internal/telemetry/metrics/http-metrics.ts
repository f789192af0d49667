import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { BoundedLabel } from './bounded-label.js';

/** Upper bounds of `http_request_duration_seconds`: 5 ms to 5 minutes. */
const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Durations of one route that wait before they are passed to prom-client. */
const BATCH = 256;

/** Counts of one route since they were last passed to prom-client. */
class RouteTally {
  inFlight = 0;
  /** By method and status, joined into one key. */
  readonly requests = new Map<string, { readonly method: string; readonly status: number; count: number }>();
  readonly seconds = new Float64Array(BATCH);
  waiting = 0;

  constructor(readonly route: string) {}
}

/**
 * The metrics of HTTP exchanges (SPEC section 17). Every request is counted in plain numbers, which are
 * passed to prom-client at a scrape.
 */
export class HttpMetrics {
  readonly #routes = new Map<string, RouteTally>();
  readonly #names: BoundedLabel;
  readonly #requests: Counter<'route' | 'method' | 'status'>;
  readonly #durations: Histogram<'route'>;
  readonly #inFlight: Gauge<'route'>;
  readonly #bytes: Counter<'direction'>;
  #bytesIn = 0;
  #bytesOut = 0;

  /** @param names the `route` label. */
  constructor(registry: Registry, names: BoundedLabel) {
    this.#names = names;
    const registers = [registry];
    this.#requests = new Counter({
      name: 'http_requests_total',
      help: 'HTTP requests answered, refused ones too; status 0: the client went away before',
      labelNames: ['route', 'method', 'status'],
      registers,
      collect: () => this.#tell(),
    });
    this.#durations = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from the head of an HTTP request to the end of its answer',
      labelNames: ['route'],
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.#inFlight = new Gauge({
      name: 'http_requests_in_flight',
      help: 'HTTP requests that are being answered',
      labelNames: ['route'],
      registers,
    });
    this.#bytes = new Counter({
      name: 'http_bytes_total',
      help: 'Bytes of HTTP bodies',
      labelNames: ['direction'],
      registers,
    });
  }

  began(route: string): void {
    this.#of(route).inFlight++;
  }

  /** @param status 0: there was no answer. */
  ended(
    route: string,
    method: string,
    status: number,
    seconds: number,
    bytesIn: number,
    bytesOut: number,
  ): void {
    const tally = this.#of(route);
    tally.inFlight--;
    const key = `${method} ${status}`;
    const known = tally.requests.get(key);
    if (known === undefined) tally.requests.set(key, { method, status, count: 1 });
    else known.count++;
    if (tally.waiting === BATCH) this.#tellDurations(tally);
    tally.seconds[tally.waiting++] = seconds;
    this.#bytesIn += bytesIn;
    this.#bytesOut += bytesOut;
  }

  #of(route: string): RouteTally {
    let tally = this.#routes.get(route);
    if (tally === undefined) {
      const name = this.#names.of(route);
      tally = this.#routes.get(name) ?? new RouteTally(name);
      // Routes beyond the bound share one tally.
      this.#routes.set(name, tally);
      if (name === route) this.#routes.set(route, tally);
    }
    return tally;
  }

  #tell(): void {
    for (const tally of new Set(this.#routes.values())) {
      const { route } = tally;
      for (const series of tally.requests.values()) {
        const { method, status } = series;
        this.#requests.inc({ route, method, status }, series.count);
        series.count = 0;
      }
      this.#tellDurations(tally);
      this.#inFlight.set({ route }, tally.inFlight);
    }
    this.#bytes.inc({ direction: 'client_to_upstream' }, this.#bytesIn);
    this.#bytes.inc({ direction: 'upstream_to_client' }, this.#bytesOut);
    this.#bytesIn = 0;
    this.#bytesOut = 0;
  }

  #tellDurations(tally: RouteTally): void {
    for (const seconds of tally.seconds.subarray(0, tally.waiting))
      this.#durations.observe({ route: tally.route }, seconds);
    tally.waiting = 0;
  }
}
