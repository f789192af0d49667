import { type Context, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import type { OpeningEnd, OpeningTrace } from './opening-trace.js';
import { contextOf, serverOf, statusOf } from './span-facts.js';
import type { TraceContext } from './trace-context.js';

const KINDS = { authenticate: SpanKind.INTERNAL, dial: SpanKind.CLIENT } as const;

/**
 * The spans of one opening: `ws.open` and its children `authenticate` and `dial`, one after the other. They
 * hold nothing that identifies a user, and nothing from headers, query or token.
 */
export class OpeningSpans implements OpeningTrace {
  readonly #tracer: Tracer;
  readonly #root: Span;
  readonly #context: Context;
  #step: Span | undefined;
  /** Dial attempts so far. */
  #attempts = 0;
  #ended = false;

  constructor(tracer: Tracer, parent: Context, session: string, ip: string) {
    this.#tracer = tracer;
    const attributes = { 'ws.session.id': session, 'client.address': ip };
    this.#root = tracer.startSpan('ws.open', { kind: SpanKind.SERVER, attributes }, parent);
    this.#context = trace.setSpan(parent, this.#root);
  }

  get traceId(): string {
    return this.#root.spanContext().traceId;
  }

  get context(): TraceContext {
    return contextOf(this.#step ?? this.#root);
  }

  begin(step: 'authenticate' | 'dial'): void {
    if (this.#ended) return;
    this.#step?.end();
    this.#step = this.#tracer.startSpan(step, { kind: KINDS[step] }, this.#context);
  }

  attempt(url: URL): void {
    if (this.#ended) return;
    this.#attempts++;
    this.#step?.setAttributes({ ...serverOf(url), 'ws.dial.attempts': this.#attempts });
  }

  attemptFailed(status: number | undefined): void {
    if (this.#ended) return;
    this.#step?.addEvent('attempt failed', statusOf(status));
    this.#step?.setAttributes(statusOf(status));
  }

  end({ outcome, failed, closeCode, route, protocol }: OpeningEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    const isOpen = outcome === 'open';
    for (const span of [this.#step, this.#root]) {
      if (span === undefined) continue;
      if (!isOpen) span.setAttribute('error.type', outcome);
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
    }
    if (isOpen) this.#step?.setAttributes(statusOf(101));
    this.#step?.end();
    this.#root.setAttributes({
      'ws.outcome': outcome,
      ...(closeCode === undefined ? {} : { 'ws.close.code': closeCode }),
      ...(route === undefined ? {} : { 'http.route': route }),
      ...(protocol === undefined ? {} : { 'ws.protocol': protocol }),
    });
    this.#root.end();
  }
}
