import type { ProxySettings } from '../../outbound/proxy.js';
import type { DialTrace } from './dial-trace.js';
import type { ExchangeTrace } from './exchange-trace.js';
import type { TraceContext } from './trace-context.js';

/** Where traces go and which of them: the OTEL_* variables, checked. */
export interface TracingOptions {
  /** OTLP over HTTP: `/v1/traces` comes behind it. */
  readonly endpoint: string;
  /** Secret: sent with every export. */
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: SamplerName;
  /** 0 to 1: the part of all traces that the `traceidratio` samplers take. */
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

/** What came of an opening. */
export interface OpeningEnd {
  /** `open`, or the reason's name in the close-code table. */
  readonly outcome: string;
  /** Whether the gateway or what is behind it is to blame: clients that are turned away are no errors. */
  readonly failed: boolean;
  /** Of the close frame that the client was sent or has sent; undefined: there was none. */
  readonly closeCode: number | undefined;
  /** The route's prefix; undefined: it was not chosen yet. */
  readonly route: string | undefined;
  readonly protocol: string | undefined;
}

/** The trace of one opening, from the handshake to the open session or to its refusal. */
export interface OpeningTrace extends DialTrace {
  readonly traceId: string;
  /** Where the step under way stands, for whoever is called in it. */
  readonly context: TraceContext;
  /** The next step; the one before it has ended well. */
  begin(step: 'authenticate' | 'dial'): void;
  /** The end of it all, the step under way included. Counts once; nothing is taken after it. */
  end(end: OpeningEnd): void;
}

/** Makes the traces and sends them off. */
export interface TraceSource {
  opening(session: string, ip: string, parent: TraceContext | undefined): OpeningTrace;
  exchange(method: string, route: string, ip: string, parent: TraceContext | undefined): ExchangeTrace;
  /** Sends what is left. */
  stop(): Promise<void>;
}
