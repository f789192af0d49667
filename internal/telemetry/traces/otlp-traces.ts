import { type Context, createTraceState, ROOT_CONTEXT, type Tracer, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { OutboundHttp } from '../../outbound/http.js';
import type { Log } from '../log/log.js';
import { ExchangeSpans } from './exchange-spans.js';
import type { ExchangeTrace } from './exchange-trace.js';
import { OpeningSpans } from './opening-spans.js';
import type { OpeningTrace, SamplerName, TraceSource, TracingOptions } from './opening-trace.js';
import { ReportingExporter } from './reporting-exporter.js';
import type { TraceContext } from './trace-context.js';

/** Most spans that wait for export; more are dropped. */
const MAX_WAITING_SPANS = 2048;
const MAX_SPANS_PER_EXPORT = 512;
const EXPORT_INTERVAL_MS = 1000;
/** Time limit of one export, retries included. */
const EXPORT_TIMEOUT_MS = 5000;
/** In case the exporter does not keep its own time limit. */
const LAST_RESORT_MS = EXPORT_TIMEOUT_MS + 1000;

/**
 * Traces by the OpenTelemetry SDK, exported as OTLP over HTTP in JSON. Nothing is registered globally and
 * there is no context manager: spans are passed explicitly. Every option is set here, as the SDK would
 * otherwise read the environment.
 */
export class OtlpTraces implements TraceSource {
  readonly #provider: BasicTracerProvider;
  readonly #tracer: Tracer;

  constructor(options: TracingOptions, instance: string, log: Log) {
    const url = tracesUrl(options.endpoint);
    const http = new OutboundHttp(options.proxies);
    const exporter = new OTLPTraceExporter({
      url,
      headers: { ...options.headers },
      timeoutMillis: EXPORT_TIMEOUT_MS,
      httpAgentOptions: () => http.agent(new URL(url), true),
    });
    this.#provider = new BasicTracerProvider({
      resource: defaultResource().merge(
        resourceFromAttributes({
          'service.instance.id': instance,
          ...options.resource,
          'service.name': options.serviceName,
        }),
      ),
      sampler: sampler(options.sampler, options.ratio),
      spanLimits: { attributeCountLimit: 32, attributeValueLengthLimit: 256 },
      spanProcessors: [
        new BatchSpanProcessor(new ReportingExporter(exporter, log), {
          maxQueueSize: MAX_WAITING_SPANS,
          maxExportBatchSize: MAX_SPANS_PER_EXPORT,
          scheduledDelayMillis: EXPORT_INTERVAL_MS,
          exportTimeoutMillis: LAST_RESORT_MS,
        }),
      ],
    });
    this.#tracer = this.#provider.getTracer('ws-gateway');
  }

  opening(session: string, ip: string, parent: TraceContext | undefined): OpeningTrace {
    return new OpeningSpans(this.#tracer, remote(parent), session, ip);
  }

  exchange(method: string, route: string, ip: string, parent: TraceContext | undefined): ExchangeTrace {
    return new ExchangeSpans(this.#tracer, remote(parent), method, route, ip);
  }

  stop(): Promise<void> {
    return this.#provider.shutdown();
  }
}

function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`;
  return url.href;
}

/**
 * W3C Trace Context §3.2.2: version, trace id, parent id and flags, of which the last bit
 * says whether it is sampled.
 */
function remote(parent: TraceContext | undefined): Context {
  if (parent === undefined) return ROOT_CONTEXT;
  const [, traceId = '', spanId = '', flags = ''] = parent.traceparent.split('-');
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & 1,
    isRemote: true,
    ...(parent.tracestate === undefined ? {} : { traceState: createTraceState(parent.tracestate) }),
  });
}

function sampler(name: SamplerName, ratio: number): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}
