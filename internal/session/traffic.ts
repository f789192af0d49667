import type { Protocol } from '../config/config.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';

/** Messages and payload bytes in each direction. */
export interface TrafficCounts {
  messagesToUpstream: number;
  bytesToUpstream: number;
  messagesToClient: number;
  bytesToClient: number;
}

/** The counts of one session. */
export interface TrafficSource {
  readonly protocol: Protocol;
  addCounts(total: TrafficCounts): void;
}

/** By route (its metrics label), then by protocol. */
class Totals {
  readonly #counts = new Map<string, Map<Protocol, TrafficCounts>>();

  of(route: string, protocol: Protocol): TrafficCounts {
    let byProtocol = this.#counts.get(route);
    if (byProtocol === undefined) {
      byProtocol = new Map();
      this.#counts.set(route, byProtocol);
    }
    let counts = byProtocol.get(protocol);
    if (counts === undefined) {
      counts = noTraffic();
      byProtocol.set(protocol, counts);
    }
    return counts;
  }

  *[Symbol.iterator](): Generator<[route: string, protocol: Protocol, counts: TrafficCounts]> {
    for (const [route, byProtocol] of this.#counts)
      for (const [protocol, counts] of byProtocol) yield [route, protocol, counts];
  }
}

/**
 * The message counters of all sessions: totals of those that have ended, plus at each scrape those that are
 * live. A session keeps plain numbers for its whole life, and no mark of what was shown already.
 */
export class Traffic {
  readonly #ended = new Totals();
  #shown = new Totals();

  constructor(readonly metrics: Pick<Metrics, 'messages'>) {}

  /**
   * Adds the counts of a session that has ended; `show` must not be given it again.
   * @param route its metrics label.
   */
  ended(source: TrafficSource, route: string): TrafficCounts {
    const counts = noTraffic();
    source.addCounts(counts);
    add(this.#ended.of(route, source.protocol), counts);
    return counts;
  }

  /**
   * Brings the counters up to date.
   * @param live all sessions that have not ended, each with its route's label.
   */
  show(live: Iterable<readonly [source: TrafficSource, route: string]>): void {
    const now = new Totals();
    for (const [source, route] of live) source.addCounts(now.of(route, source.protocol));
    for (const [route, protocol, counts] of this.#ended) add(now.of(route, protocol), counts);
    for (const [route, protocol, total] of now) {
      const shown = this.#shown.of(route, protocol);
      const up = { direction: 'client_to_upstream', protocol, route } as const;
      const down = { direction: 'upstream_to_client', protocol, route } as const;
      this.metrics.messages.forwarded.inc(up, total.messagesToUpstream - shown.messagesToUpstream);
      this.metrics.messages.bytes.inc(up, total.bytesToUpstream - shown.bytesToUpstream);
      this.metrics.messages.forwarded.inc(down, total.messagesToClient - shown.messagesToClient);
      this.metrics.messages.bytes.inc(down, total.bytesToClient - shown.bytesToClient);
    }
    this.#shown = now;
  }
}

function noTraffic(): TrafficCounts {
  return { messagesToUpstream: 0, bytesToUpstream: 0, messagesToClient: 0, bytesToClient: 0 };
}

function add(total: TrafficCounts, counts: TrafficCounts): void {
  total.messagesToUpstream += counts.messagesToUpstream;
  total.bytesToUpstream += counts.bytesToUpstream;
  total.messagesToClient += counts.messagesToClient;
  total.bytesToClient += counts.bytesToClient;
}
