import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '../eventually.js';

/** `hang`: takes everything and never answers. */
type ReceiverMode = 'ok' | '500' | 'hang';

interface KeyValue {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string };
}

interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly KeyValue[];
  readonly events: readonly { readonly name: string; readonly attributes?: readonly KeyValue[] }[];
  readonly status: { readonly code: number };
}

interface WireExport {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** A span as it came. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly traceState: string | undefined;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Attributes;
  readonly events: readonly Attributes[];
  /** 0 unset, 2 error. */
  readonly status: number;
  readonly resource: Attributes;
}

export interface ReceivedTrace {
  readonly root: ReceivedSpan;
  readonly steps: Readonly<Record<string, ReceivedSpan>>;
}

/** A collector that takes OTLP over HTTP, in JSON. */
export class OtlpReceiver {
  mode: ReceiverMode = 'ok';
  readonly spans: ReceivedSpan[] = [];
  /** Everything that came, as text. */
  text = '';
  readonly requests: { readonly url: string | undefined; readonly headers: IncomingHttpHeaders }[] = [];
  readonly #server = createServer((request, response) => void this.#take(request, response));

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The `ws.open` span that `fits`, once it is there, with the spans below it by name. */
  opening(fits: (span: ReceivedSpan) => boolean = () => true): Promise<ReceivedTrace> {
    return this.trace((span) => span.name === 'ws.open' && fits(span));
  }

  /** The last span that `fits`, once it is there, with the spans below it by name. */
  async trace(fits: (span: ReceivedSpan) => boolean): Promise<ReceivedTrace> {
    return await eventually(() => {
      const root = this.spans.findLast(fits);
      if (root === undefined) return false;
      const steps = this.spans.filter(({ parentSpanId }) => parentSpanId === root.spanId);
      return { root, steps: Object.fromEntries(steps.map((span) => [span.name, span])) };
    });
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    this.requests.push({ url: request.url, headers: request.headers });
    if (this.mode === 'hang') return;
    if (this.mode === '500') return void response.writeHead(500).end();
    const text = Buffer.concat(chunks).toString('utf8');
    this.text += text;
    for (const { resource, scopeSpans } of (JSON.parse(text) as WireExport).resourceSpans)
      for (const { spans } of scopeSpans)
        for (const span of spans) this.spans.push(received(span, attributesOf(resource.attributes)));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }
}

export async function startOtlpReceiver(port = 0): Promise<OtlpReceiver> {
  const receiver = new OtlpReceiver();
  await receiver.listen(port);
  return receiver;
}

function received(span: WireSpan, resource: Attributes): ReceivedSpan {
  const { traceId, spanId, parentSpanId, traceState, name, kind, attributes, events, status } = span;
  return {
    ...{ traceId, spanId, parentSpanId, traceState, name, kind, resource },
    attributes: attributesOf(attributes),
    events: events.map((event) => ({ name: event.name, ...attributesOf(event.attributes ?? []) })),
    status: status.code,
  };
}

function attributesOf(list: readonly KeyValue[]): Attributes {
  return Object.fromEntries(
    list.map(({ key, value: { stringValue, intValue } }) => [
      key,
      stringValue ?? (intValue === undefined ? undefined : Number(intValue)),
    ]),
  );
}
