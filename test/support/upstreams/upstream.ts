import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { Peer } from '../clients/ws-client.js';
import { eventually } from '../eventually.js';

/** What an upstream saw of one session. */
export class UpstreamPeer extends Peer {
  constructor(
    socket: WebSocket,
    readonly request: IncomingMessage,
  ) {
    super(socket);
  }

  /** A header of the opening handshake; undefined when absent. */
  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }
}

export interface UpstreamOptions {
  /** Sends every message back as it came. */
  readonly echo?: boolean;
  /** Runs as soon as a session is open. */
  readonly onSession?: (peer: UpstreamPeer) => void;
  /** Which of the offered sub-protocols to choose; default none. */
  readonly choose?: (offered: readonly string[]) => string | undefined;
  /** Bytes; default 64 MiB. */
  readonly maxPayload?: number;
}

/** A WebSocket server that remembers its sessions. Health probes, which are no clients, are left out. */
export class Upstream {
  readonly sessions: UpstreamPeer[] = [];
  readonly #server = createServer();
  readonly #ws: WebSocketServer;

  constructor(options: UpstreamOptions) {
    this.#ws = new WebSocketServer({
      server: this.#server,
      perMessageDeflate: false,
      maxPayload: options.maxPayload ?? 64 * 1024 * 1024,
      handleProtocols: (offered) => options.choose?.([...offered]) ?? false,
    });
    this.#ws.on('connection', (socket, request) => {
      socket.on('error', () => {});
      // A session's dial names its client; a probe has none.
      if (request.headers['x-forwarded-for'] === undefined) return;
      const peer = new UpstreamPeer(socket, request);
      if (options.echo)
        socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
      this.sessions.push(peer);
      options.onSession?.(peer);
    });
  }

  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  openSockets(): number {
    return [...this.#ws.clients].filter((socket) => socket.readyState !== socket.CLOSED).length;
  }

  /** The session at `index`, once it is there; the latest one by default. */
  async session(index = -1): Promise<UpstreamPeer> {
    return await eventually(() => this.sessions.at(index) ?? false);
  }

  /** Forgets the sessions so far, so that the next test counts its own. */
  reset(): void {
    this.sessions.length = 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#ws.clients) socket.terminate();
    this.#ws.close();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Starts a WebSocket upstream on a port of its own. */
export async function startUpstream(
  options: UpstreamOptions & { readonly port?: number } = {},
): Promise<Upstream> {
  const upstream = new Upstream(options);
  await upstream.listen(options.port);
  return upstream;
}

/** An upstream that sends every message back. */
export function startEcho(options: UpstreamOptions = {}): Promise<Upstream> {
  return startUpstream({ echo: true, ...options });
}

/** Begins a message with each session, `first,`, and ends it, `last`, when it hears one. */
export function startSlowSpeaker(): Promise<Upstream> {
  return startUpstream({
    onSession: ({ socket }) => {
      socket.send('first,', { fin: false });
      socket.on('message', () => socket.send('last', { fin: true }));
    },
  });
}
