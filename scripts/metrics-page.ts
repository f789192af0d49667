import { PROTOCOL_NAMES } from '../internal/config/config.js';
import { Metrics } from '../internal/telemetry/metrics/metrics.js';
import { table } from './markdown-table.js';

/** A query that makes something of each metric; test/deploy holds them to a real Prometheus. */
export const EXAMPLE_QUERIES: Readonly<Record<string, string>> = {
  http_requests_total: 'sum by (route, status) (rate(http_requests_total[5m]))',
  http_request_duration_seconds:
    'histogram_quantile(0.99, sum by (le, route) (rate(http_request_duration_seconds_bucket[5m])))',
  http_requests_in_flight: 'sum by (route) (http_requests_in_flight)',
  http_bytes_total: 'sum by (direction) (rate(http_bytes_total[5m]))',
  ws_connections_total: 'sum(rate(ws_connections_total[5m]))',
  ws_handshakes_refused_total: 'sum by (status) (rate(ws_handshakes_refused_total[5m]))',
  ws_refused_total: 'topk(10, sum by (status, route) (rate(ws_refused_total[5m])))',
  ws_auth_failures_total: 'sum by (instance) (rate(ws_auth_failures_total[5m]))',
  ws_auth_success_total: 'topk(10, sum by (sub) (ws_auth_success_total))',
  ws_active_sessions: 'sum by (route) (ws_active_sessions)',
  ws_connection_duration_seconds:
    'histogram_quantile(0.5, sum by (le) (rate(ws_connection_duration_seconds_bucket[1h])))',
  ws_revocations_total: 'sum by (instance) (increase(ws_revocations_total[1h]))',
  ws_revocations_unsent: 'max by (instance) (ws_revocations_unsent)',
  ws_bans_total: 'sum by (instance) (increase(ws_bans_total[1h]))',
  ws_bans_unsent: 'max by (instance) (ws_bans_unsent)',
  ws_activity_dropped_total: 'sum by (instance) (increase(ws_activity_dropped_total[1h]))',
  ws_protocol_connections_total: 'sum by (protocol) (rate(ws_protocol_connections_total[5m]))',
  ws_proxy_errors_total: 'sum by (protocol) (rate(ws_proxy_errors_total[5m]))',
  ws_proxy_retries_total: 'sum by (protocol) (rate(ws_proxy_retries_total[5m]))',
  ws_circuit_open_total: 'sum by (protocol) (increase(ws_circuit_open_total[5m]))',
  ws_upstream_health_success_total: 'sum(rate(ws_upstream_health_success_total[5m]))',
  ws_upstream_health_failure_total: 'sum by (instance) (increase(ws_upstream_health_failure_total[5m]))',
  ws_rate_limit_violations_total: 'topk(10, sum by (key) (ws_rate_limit_violations_total))',
  ws_messages_total: 'sum by (direction) (rate(ws_messages_total[5m]))',
  ws_bytes_total: 'sum by (direction) (rate(ws_bytes_total[5m]))',
  ws_session_closed_total: 'topk(5, sum by (reason) (increase(ws_session_closed_total[1h])))',
  ws_upstream_dials_total: 'sum by (upstream, result) (rate(ws_upstream_dials_total[5m]))',
  ws_upstream_dial_seconds:
    'histogram_quantile(0.99, sum by (le) (rate(ws_upstream_dial_seconds_bucket[5m])))',
  ws_auth_seconds: 'histogram_quantile(0.99, sum by (le) (rate(ws_auth_seconds_bucket[5m])))',
  ws_token_cache_total:
    'sum by (store) (rate(ws_token_cache_total{result="hit"}[5m])) / sum by (store) (rate(ws_token_cache_total[5m]))',
  ws_circuit_state: 'max by (upstream) (ws_circuit_state)',
  ws_buffered_bytes: 'sum by (instance, direction) (ws_buffered_bytes)',
  ws_backpressure_total: 'sum by (direction) (rate(ws_backpressure_total[5m]))',
  ws_dependency_up: 'min by (dependency) (ws_dependency_up)',
  ws_certificate_expiry_timestamp_seconds:
    'min by (instance) (ws_certificate_expiry_timestamp_seconds) - time()',
  ws_config_reloads_total: 'sum by (result) (increase(ws_config_reloads_total[1h]))',
  ws_unready: 'max by (instance, reason) (ws_unready)',
  ws_build_info: 'sum by (version, node, listener, sockets) (ws_build_info)',
  ws_workers_replaced_total: 'sum by (instance) (increase(ws_workers_replaced_total[1h]))',
};

/** What prom-client keeps of a metric. */
interface Registered {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

/** docs/metrics.md. @throws Error for a metric without an example, or an example without a metric. */
export function metricsPage(): string {
  const metrics = new Metrics(1).registry.getMetricsAsArray() as unknown as readonly Registered[];
  const names = new Set(metrics.map(({ name }) => name));
  const unknown = Object.keys(EXAMPLE_QUERIES).filter((name) => !names.has(name));
  if (unknown.length > 0) throw new Error(`EXAMPLE_QUERIES: no such metrics: ${unknown.join(', ')}`);
  return `<!-- Made from internal/telemetry/metrics/*-metrics.ts by \`npm run docs\`. -->
# Metrics

What \`GET /metrics\` shows, in the Prometheus text format. Of a gateway with several workers one scrape shows all of
them as one: counters, histograms and most gauges added up; of \`ws_circuit_state\`, \`ws_dependency_up\` and
\`ws_unready\` the worst. Counters never go back while the gateway lives, also when a worker is replaced. How to scrape
it, what to watch and which alerts there are: [monitoring.md](monitoring.md).

${table(
  ['Metric', 'Type', 'Labels', 'Unit', 'Meaning'],
  metrics.map(({ name, type, labelNames, help }) => [
    `\`${name}\``,
    type,
    labelNames.map((label) => `\`${label}\``).join(', '),
    unitOf(name),
    help,
  ]),
)}
## Labels

${table(
  ['Label', 'Values'],
  [
    ['`direction`', '`client_to_upstream`, `upstream_to_client`'],
    ['`protocol`', PROTOCOL_NAMES.map((name) => `\`${name}\``).join(', ')],
    [
      '`route`',
      'the prefix; the first 200 in the order of the routes file, all others are `_other`; `_none`: requests that no route fits, and whoever has not been let in to one',
    ],
    ['`method`', 'those of RFC 9110 and PATCH, all others are `other`'],
    ['`status` of `http_requests_total`', 'of the answer; 0 where the client went away before there was one'],
    ['`reason` of `ws_session_closed_total`', 'the names in [close-codes.md](close-codes.md)'],
    ['`reason` of `ws_unready`', '`draining`, `no_keys`'],
    [
      '`sockets`',
      '`handles`, or `streams` where this Node.js has none, see [architecture.md](architecture.md)',
    ],
    [
      '`status` of `ws_handshakes_refused_total`',
      '400 malformed, 401 no cookie of the upstream (`bootstrap`), 403 origin or address, 404 no route, 405 (404, 400, 415 of `schemas`, too) what its HTTP route does not take as a GET, 426 `webSocket: false`, 429 too many from one address, 503 full, too many at once or draining',
    ],
    [
      '`status` of `ws_refused_total`',
      'those; 426 what is no handshake, 431 too large a head, 501 TRACE or CONNECT; `closed`: connections closed at accept, without an answer',
    ],
    ['`result`', 'of look-ups `hit`, `miss`; of reloads and dials `ok`, `failed`'],
    ['`store`', '`memory`, and `redis` or `postgres` behind it, asked for what memory does not have'],
    [
      '`dependency`',
      '`jwks`, or `jwks:NAME` for each of ISSUERS_FILE, `introspection`, `redis`, `postgres`: those that are configured',
    ],
    [
      '`upstream`',
      'the URL without credentials and query; of a route with `targets` as it is written there; of dials the first 200 in the order of the routes file, all others are `_other`',
    ],
    ['`file`', 'TLS_CERT_FILE'],
    [
      '`sub`, `preferred_username`, `key`',
      'what tokens say; `key` is a subject, or the address of a client without one. The first METRICS_MAX_USERS values of each, all others are `_other`',
    ],
  ],
)}
Where the values of a label are few and known, their series are there from the start at 0, so that a rate sees the first
event, those of the first 20 routes too. Series of a user are not: a rate over \`ws_auth_success_total\` misses each
user's first login.

## Queries

${table(
  ['Metric', 'For example'],
  metrics.map(({ name }) => [`\`${name}\``, `\`${exampleOf(name)}\``]),
)}
## The process

Node.js and the process itself are described by prom-client's default metrics, \`process_…\` and \`nodejs_…\`, but for
\`nodejs_active_…_total\`, which are no counters. The alerts and the dashboard use \`process_cpu_seconds_total\`,
\`process_resident_memory_bytes\`, \`process_open_fds\`, \`process_max_fds\`, \`process_start_time_seconds\`,
\`nodejs_eventloop_lag_p99_seconds\` and \`nodejs_eventloop_lag_max_seconds\`. Event loops are looked at every 10 ms, so an
idle one shows 10 ms. The event loop of the supervisor of several workers is left out.
`;
}

function exampleOf(name: string): string {
  const query = EXAMPLE_QUERIES[name];
  if (query === undefined) throw new Error(`EXAMPLE_QUERIES has nothing for ${name}`);
  return query;
}

function unitOf(name: string): string {
  if (name.endsWith('_seconds')) return 'seconds';
  if (/_bytes(_total)?$/.test(name)) return 'bytes';
  return /_(state|up|unready)$/.test(name) ? 'state' : 'count';
}
