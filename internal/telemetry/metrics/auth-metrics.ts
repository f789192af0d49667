import { LATENCY_BUCKETS } from './durations.js';
import type { MetricMaker } from './metric-maker.js';

/** Metrics of authentication and revocation. */
export function authMetrics(make: MetricMaker) {
  return {
    failures: make.counter(
      'ws_auth_failures_total',
      'WebSocket clients and HTTP requests whose authentication failed',
    ),
    success: make.counter('ws_auth_success_total', 'WebSocket clients authenticated', [
      'sub',
      'preferred_username',
    ]),
    seconds: make.durations('ws_auth_seconds', 'Time to verify a token, cache included', LATENCY_BUCKETS),
    tokenCache: make.counter('ws_token_cache_total', 'Token cache look-ups', ['store', 'result']),
    // Each worker applies every revocation. The supervisor's own count, which is first, counts each once.
    revocations: make.counter('ws_revocations_total', 'Revocations taken into effect', [], 'first'),
    revocationsUnsent: make.gauge('ws_revocations_unsent', 'Revocations that the store has yet to be told'),
    bans: make.counter('ws_bans_total', 'Bans taken into effect', [], 'first'),
    bansUnsent: make.gauge('ws_bans_unsent', 'Bans, and liftings of them, that the store has yet to be told'),
  };
}
