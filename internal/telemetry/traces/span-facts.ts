import { type Span, TraceFlags } from '@opentelemetry/api';
import type { TraceContext } from './trace-context.js';

/** The trace context of a span, for requests made in it. */
export function contextOf(span: Span): TraceContext {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const flags = (traceFlags & TraceFlags.SAMPLED) === 0 ? '00' : '01';
  return {
    traceparent: `00-${traceId}-${spanId}-${flags}`,
    tracestate: traceState?.serialize() || undefined,
  };
}

/** Attributes that name an endpoint, without path and query. */
export function serverOf(url: URL): Record<string, string | number> {
  const isTls = url.protocol === 'wss:' || url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  return { 'server.address': url.hostname.replace(/^\[|\]$/g, ''), 'server.port': port };
}

/** @param status undefined: there was no answer. */
export function statusOf(status: number | undefined): Record<string, number> {
  return status === undefined ? {} : { 'http.response.status_code': status };
}
