import type { MetricMaker } from './metric-maker.js';

/** Upper bounds of `ws_connection_duration_seconds`: 0.1 s to 1 day. */
const DURATION_BUCKETS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400];

/** Metrics of handshakes and sessions. */
export function sessionMetrics(make: MetricMaker) {
  return {
    connections: make.counter('ws_connections_total', 'Well-formed opening handshakes, refused ones too'),
    handshakesRefused: make.counter(
      'ws_handshakes_refused_total',
      'Well-formed opening handshakes answered with an HTTP error',
      ['status'],
    ),
    refused: make.counter(
      'ws_refused_total',
      'Requests answered with an HTTP error before a session or an exchange; status closed: connections closed at accept',
      ['status', 'route'],
    ),
    active: make.gauge('ws_active_sessions', 'Live client connections', ['route']),
    duration: make.durations(
      'ws_connection_duration_seconds',
      'Lifetime of client connections, from the 101',
      DURATION_BUCKETS,
    ),
    byProtocol: make.counter('ws_protocol_connections_total', 'Sessions by the protocol found', ['protocol']),
    closed: make.counter('ws_session_closed_total', 'Ended sessions by reason', ['reason', 'route']),
    rateLimitViolations: make.counter('ws_rate_limit_violations_total', 'Sessions closed by a rate limit', [
      'key',
    ]),
  };
}
