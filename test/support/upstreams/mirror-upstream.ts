import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the upstream saw of a request. */
interface Seen {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  /** One character a byte. */
  readonly body: string;
}

/** @returns what an answer of the upstream says it saw. */
export const seen = (body: string) => JSON.parse(body) as Seen;

/** The values of a header that it saw, `name` in lower case. */
export const header = ({ rawHeaders }: Seen, name: string): string[] =>
  rawHeaders.filter((_, index) => rawHeaders[index - 1]?.toLowerCase() === name && index % 2 === 1);

/** An answer at `/sse` that is still under way. */
interface Stream {
  readonly write: (text: string) => void;
  readonly closed: Promise<unknown>;
}

/**
 * An HTTP server that answers each request with what it saw of it, at `/sse` with events,
 * and no opening handshake.
 */
export class MirrorUpstream {
  readonly streams: Stream[] = [];
  readonly #server = createServer(async (request, response) => {
    if (request.url?.startsWith('/sse')) {
      request.on('error', () => {});
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.flushHeaders();
      this.streams.push({
        write: (text) => void response.write(text),
        closed: new Promise((resolve) => response.on('close', resolve)),
      });
      return;
    }
    let body = '';
    for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString('latin1');
    const { method = '', url = '', rawHeaders } = request;
    response.setHeader('Content-Type', 'application/json');
    response.setHeader('Server', 'secret');
    response.end(JSON.stringify({ method, url, rawHeaders, body, trailers: request.trailers }));
  });

  static async start(): Promise<MirrorUpstream> {
    const upstream = new MirrorUpstream();
    upstream.#server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    upstream.#server.listen(0, '127.0.0.1');
    await once(upstream.#server, 'listening');
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
