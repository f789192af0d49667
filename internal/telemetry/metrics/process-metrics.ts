import type { MetricMaker } from './metric-maker.js';

/** Metrics of the process, its configuration and its dependencies. */
export function processMetrics(make: MetricMaker) {
  return {
    // Not `ready`: the supervisor sets neither, and its 0 must not count as a process that is not ready.
    unready: make.gauge(
      'ws_unready',
      'Whether /readyz answers 503 for this reason: 1 or 0',
      ['reason'],
      'max',
    ),
    dependencyUp: make.gauge(
      'ws_dependency_up',
      'Whether a dependency answers and refuses no part of the work: 1 or 0',
      ['dependency'],
      'min',
    ),
    certificateExpiry: make.gauge(
      'ws_certificate_expiry_timestamp_seconds',
      'When the certificate that clients are shown ends, in seconds since the epoch; none without TLS',
      ['file'],
      'min',
    ),
    configReloads: make.counter('ws_config_reloads_total', 'Reloads of the routes file', ['result']),
    activityDropped: make.counter('ws_activity_dropped_total', 'Ended sessions that could not be kept'),
    workersReplaced: make.counter(
      'ws_workers_replaced_total',
      'Worker processes that ended by themselves, or hung, and were replaced',
    ),
    buildInfo: make.gauge(
      'ws_build_info',
      'Always 1: which gateway this is, on which Node.js, with which listener and sockets',
      ['version', 'node', 'listener', 'sockets'],
      'max',
    ),
  };
}
