import { PROTOCOL_NAMES, type Protocol } from '../config/config.js';
import type { Metrics } from '../telemetry/metrics.js';

/** Messages, and bytes of their payload, that went either way. */
export interface TrafficCounts {
  messagesToUpstream: number;
  bytesToUpstream: number;
  messagesToClient: number;
  bytesToClient: number;
}

/** A session's share of it. */
export interface TrafficSource {
  readonly protocol: Protocol;
  addCounts(total: TrafficCounts): void;
}

type Totals = Record<Protocol, TrafficCounts>;

/**
 * What all sessions have moved, for the counters: those that have ended, and at each scrape those that live. Sessions
 * keep plain numbers from their first message to their last, and nothing that says which of them have been counted.
 */
export class Traffic {
  readonly #ended: Totals = totals();
  #shown: Totals = totals();

  constructor(readonly metrics: Pick<Metrics, 'messages' | 'bytes'>) {}

  /** Takes over what a session has moved. It is live no more: `show` must not meet it again. */
  ended(source: TrafficSource): TrafficCounts {
    const counts = noTraffic();
    source.addCounts(counts);
    add(this.#ended[source.protocol], counts);
    return counts;
  }

  /** Brings the counters up to date. @param live all sessions that have not ended. */
  show(live: Iterable<TrafficSource>): void {
    const now = totals();
    for (const source of live) source.addCounts(now[source.protocol]);
    for (const protocol of PROTOCOL_NAMES) {
      const total = now[protocol];
      add(total, this.#ended[protocol]);
      const shown = this.#shown[protocol];
      const up = { direction: 'client_to_upstream', protocol } as const;
      const down = { direction: 'upstream_to_client', protocol } as const;
      this.metrics.messages.inc(up, total.messagesToUpstream - shown.messagesToUpstream);
      this.metrics.bytes.inc(up, total.bytesToUpstream - shown.bytesToUpstream);
      this.metrics.messages.inc(down, total.messagesToClient - shown.messagesToClient);
      this.metrics.bytes.inc(down, total.bytesToClient - shown.bytesToClient);
    }
    this.#shown = now;
  }
}

function totals(): Totals {
  return { mqtt: noTraffic(), raw: noTraffic(), stomp: noTraffic(), graphql: noTraffic() };
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
