import { type Context, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import type { ExchangeEnd, ExchangeTrace } from './exchange-trace.js';
import { contextOf, serverOf, statusOf } from './span-facts.js';
import type { TraceContext } from './trace-context.js';

/**
 * The spans of one exchange: the server span, named by method and route, and its child `upstream`, which ends
 * with the head of the upstream's answer. They hold no path and nothing from headers, query, body or token.
 */
export class ExchangeSpans implements ExchangeTrace {
  readonly #tracer: Tracer;
  readonly #root: Span;
  readonly #context: Context;
  #upstream: Span | undefined;
  /** Endpoints tried so far. */
  #attempts = 0;
  #ended = false;

  /** @param route its prefix, or a label that is no path if there is no route. */
  constructor(tracer: Tracer, parent: Context, method: string, route: string, ip: string) {
    this.#tracer = tracer;
    const isRouted = route.startsWith('/');
    const attributes = {
      'http.request.method': method,
      ...(isRouted ? { 'http.route': route } : {}),
      'client.address': ip,
    };
    const name = isRouted ? `${method} ${route}` : method;
    this.#root = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
    this.#context = trace.setSpan(parent, this.#root);
  }

  get traceId(): string {
    return this.#root.spanContext().traceId;
  }

  ask(): TraceContext {
    this.#upstream ??= this.#tracer.startSpan('upstream', { kind: SpanKind.CLIENT }, this.#context);
    return contextOf(this.#upstream);
  }

  attempt(url: URL): void {
    this.#attempts++;
    this.#upstream?.setAttributes({ ...serverOf(url), 'ws.dial.attempts': this.#attempts });
  }

  attemptFailed(status: number | undefined): void {
    this.#upstream?.addEvent('attempt failed', statusOf(status));
  }

  answered(status: number): void {
    this.#upstream?.setAttributes(statusOf(status));
    if (status >= 500) fail(this.#upstream, String(status));
    this.#upstream?.end();
    this.#upstream = undefined;
  }

  end({ status, errorType, failed }: ExchangeEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    if (status !== 0) this.#root.setAttributes(statusOf(status));
    for (const span of [this.#upstream, this.#root]) {
      if (failed) fail(span, errorType);
      else if (errorType !== undefined) span?.setAttribute('error.type', errorType);
      span?.end();
    }
  }
}

function fail(span: Span | undefined, errorType: string | undefined): void {
  if (errorType !== undefined) span?.setAttribute('error.type', errorType);
  span?.setStatus({ code: SpanStatusCode.ERROR });
}
