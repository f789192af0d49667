import type { MetricMaker } from './metric-maker.js';

/** Metrics of messages and bytes in sessions, and of what is buffered. */
export function messageMetrics(make: MetricMaker) {
  return {
    forwarded: make.counter('ws_messages_total', 'Messages forwarded', ['direction', 'protocol', 'route']),
    bytes: make.counter('ws_bytes_total', 'Payload bytes forwarded', ['direction', 'protocol', 'route']),
    bufferedBytes: make.gauge('ws_buffered_bytes', 'Bytes waiting for a slow peer', ['direction']),
    backpressure: make.counter('ws_backpressure_total', 'Times a slow peer made the gateway pause or close', [
      'direction',
    ]),
  };
}
