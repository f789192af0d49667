import type { ProxySettings } from '../../outbound/proxy.js';
import type { DialTrace } from './dial-trace.js';
import type { ExchangeTrace } from './exchange-trace.js';
import type { TraceContext } from './trace-context.js';

/** Where traces are sent and how they are sampled: the validated OTEL_* variables. */
export interface TracingOptions {
  /** Base URL of OTLP over HTTP; `/v1/traces` is appended. */
  readonly endpoint: string;
  /** Sent with every export; secret. */
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: SamplerName;
  /** Share of traces that the `traceidratio` samplers take, 0 to 1. */
  readonly ratio: number;
  readonly proxies: ProxySettings;
}

export type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_always_off'
  | 'parentbased_traceidratio';

/** How an opening ended. */
export interface OpeningEnd {
  /** `open`, or the reason's name in the close-code table. */
  readonly outcome: string;
  /** Whether the gateway or an upstream is at fault; a refused client is no error. */
  readonly failed: boolean;
  /** Code of the close frame, sent to or by the client; undefined: there was none. */
  readonly closeCode: number | undefined;
  /** The route's prefix; undefined: none was chosen yet. */
  readonly route: string | undefined;
  readonly protocol: string | undefined;
}

/** The trace of one opening, from the handshake to the open session or to its refusal. */
export interface OpeningTrace extends DialTrace {
  readonly traceId: string;
  /** The trace context of the current step, for requests made in it. */
  readonly context: TraceContext;
  /** Begins the next step; the one before it has succeeded. */
  begin(step: 'authenticate' | 'dial'): void;
  /** Ends the trace and its current step; calls after it are ignored. */
  end(end: OpeningEnd): void;
}

/** Creates traces and exports them. */
export interface TraceSource {
  opening(session: string, ip: string, parent: TraceContext | undefined): OpeningTrace;
  exchange(method: string, route: string, ip: string, parent: TraceContext | undefined): ExchangeTrace;
  /** Exports what is left. */
  stop(): Promise<void>;
}
