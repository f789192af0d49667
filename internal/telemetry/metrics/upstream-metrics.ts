import { LATENCY_BUCKETS } from './durations.js';
import type { MetricMaker } from './metric-maker.js';

/** Dials by upstream, 200 of them at most, as users may decide which upstreams there are (`target`). */
export const DIALS = 'ws_upstream_dials_total';

/** Metrics of upstreams: dials, health, circuits. */
export function upstreamMetrics(make: MetricMaker) {
  return {
    errors: make.counter('ws_proxy_errors_total', 'Sessions that failed on the upstream side', ['protocol']),
    retries: make.counter('ws_proxy_retries_total', 'Dial attempts after the first', ['protocol']),
    circuitOpen: make.counter('ws_circuit_open_total', 'Sessions refused because every circuit was open', [
      'protocol',
    ]),
    circuitState: make.gauge(
      'ws_circuit_state',
      'Circuit per upstream: 0 closed, 1 half-open, 2 open',
      ['upstream'],
      'max',
    ),
    dials: make.counter(DIALS, 'Dial attempts by their outcome', ['route', 'upstream', 'result']),
    dialSeconds: make.durations(
      'ws_upstream_dial_seconds',
      'Time from the start of a dial attempt to its success',
      LATENCY_BUCKETS,
      ['route'],
    ),
    healthSuccess: make.counter('ws_upstream_health_success_total', 'Health checks that succeeded'),
    healthFailure: make.counter('ws_upstream_health_failure_total', 'Health checks that failed'),
  };
}
