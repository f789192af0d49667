import type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket_context_t,
} from 'uWebSockets.js';
import { randomUUID } from 'node:crypto';
import type { ListenConfig } from '../config/config.js';
import { fromUnknown, GatewayError } from '../errors.js';
import type { FailedLogins } from '../ratelimit/failed-logins.js';
import type { ClientHandshake, ClientSocket } from '../session/client-socket.js';
import type { Opening } from '../session/opening.js';
import { Session } from '../session/session.js';
import type { SessionParts } from '../session/session-parts.js';
import { type SocketData, UwsClientSocket } from './client-socket.js';
import type { HttpEndpoints } from './health.js';
import { answer, writeSecurityHeaders } from './http-response.js';
import { checkHandshake, judgeOpening, type OpeningRules, type RequestHead } from './opening.js';
import { readHead } from './request.js';
import { uWS } from './uws.js';

/**
 * A message this much over MAX_MESSAGE_BYTES is still taken in, so that it can be answered 1009; uWebSockets.js drops the
 * connection for larger ones.
 */
const OVERSIZE_SLACK_BYTES = 1_048_576;

/** Far above MAX_BUFFERED_BYTES, where reading from the upstream stops: a last line that is never reached. */
const BACKPRESSURE_SLACK_BYTES = 4_194_304;

export interface ListenerParts {
  readonly config: ListenConfig;
  readonly sessionParts: SessionParts;
  readonly rules: OpeningRules;
  readonly failedLogins: FailedLogins;
  readonly endpoints: HttpEndpoints;
}

/** The public face: one uWebSockets.js app that serves HTTP and hands WebSocket clients to sessions. */
export class Listener {
  readonly #app: TemplatedApp;
  readonly #compress: boolean;
  #listening: us_listen_socket | undefined;
  #open: boolean = false;

  constructor(readonly parts: ListenerParts) {
    const { tls, compression } = parts.config;
    this.#compress = compression !== 'off';
    this.#app =
      tls === undefined
        ? uWS.App()
        : uWS.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
    this.#routes();
  }

  /**
   * Binds the address: exclusively, or with several workers so that each of them can (SO_REUSEPORT).
   * @returns the port, which differs from the configured one when that is 0.
   * @throws GatewayError ERR_LISTEN
   */
  async listen(): Promise<number> {
    const { host, port, workers } = this.parts.config;
    const options = workers > 1 ? uWS.LIBUS_LISTEN_DEFAULT : uWS.LIBUS_LISTEN_EXCLUSIVE_PORT;
    const socket = await new Promise<us_listen_socket | false>((resolve) => {
      this.#app.listen(host, port, options, resolve);
    });
    if (!socket) {
      throw new GatewayError(
        'ERR_LISTEN',
        `HOST, PORT: cannot listen on ${host}:${port}, is the port in use?`,
      );
    }
    this.#listening = socket;
    this.#open = true;
    return uWS.us_socket_local_port(socket);
  }

  /** Takes no more connections; those that are there stay. */
  leave(): void {
    if (this.#listening === undefined) return;
    uWS.us_listen_socket_close(this.#listening);
    this.#listening = undefined;
  }

  /** Stops listening and cuts off whoever is left. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#listening = undefined;
    this.#app.close();
  }

  #routes(): void {
    const { sessionParts } = this.parts;
    this.#app.ws<SocketData>('/*', {
      maxPayloadLength: sessionParts.config.maxMessageBytes + OVERSIZE_SLACK_BYTES,
      maxBackpressure: sessionParts.config.maxBufferedBytes + BACKPRESSURE_SLACK_BYTES,
      // Silence is watched by the sessions: uWebSockets.js takes what it sends itself for a sign of life.
      idleTimeout: 0,
      sendPingsAutomatically: false,
      compression: compressionOf(this.parts.config.compression),
      upgrade: (response, request, context) =>
        this.#guard(response, () => this.#upgrade(response, request, context)),
      open: (ws) => ws.getUserData().socket.attach(ws),
      message: (ws, message, isBinary) => {
        const { session } = ws.getUserData();
        try {
          session.onClientMessage(new Uint8Array(message), isBinary);
        } catch (thrown) {
          session.close('internalError', undefined, fromUnknown(thrown));
        }
      },
      ping: (ws) => this.#contain(ws.getUserData().session, (session) => session.onClientAlive()),
      pong: (ws) => this.#contain(ws.getUserData().session, (session) => session.onClientAlive()),
      drain: (ws) => this.#contain(ws.getUserData().session, (session) => session.onClientDrain()),
      close: (ws, code, message) => {
        const { session, socket } = ws.getUserData();
        socket.detach();
        const reason = Buffer.from(message).toString('utf8');
        this.#contain(session, () => session.onClientClosed(code, reason));
      },
    });
    this.#app.any('/*', (response, request) => this.#guard(response, () => this.#request(response, request)));
  }

  /** A throw inside a handler would end the process: it ends the one session. */
  #contain(session: Session, work: (session: Session) => void): void {
    try {
      work(session);
    } catch (thrown) {
      session.close('internalError', undefined, fromUnknown(thrown));
    }
  }

  /** Likewise for requests. */
  #guard(response: HttpResponse, work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.parts.sessionParts.log.error({ err: fromUnknown(thrown) }, 'request failed');
      response.close();
    }
  }

  #request(response: HttpResponse, request: HttpRequest): void {
    const head = readHead(request, response, this.parts.config.tls !== undefined);
    if (this.parts.endpoints.serve(head, response)) return;
    const opening = this.#judge(head);
    // uWebSockets.js brings only requests here that its own check does not take for handshakes.
    refuse(response, typeof opening === 'number' ? opening : 426);
  }

  #upgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const head = readHead(request, response, this.parts.config.tls !== undefined);
    if (this.parts.endpoints.serve(head, response)) return;
    const opening = this.#judge(head);
    if (typeof opening === 'number') return refuse(response, opening);
    const { sessionParts } = this.parts;
    const limit = sessionParts.sessions.refusal(opening.client.ip);
    if (limit !== undefined) return refuse(response, limit);
    const session = new Session(sessionParts, randomUUID(), opening.client.ip);
    sessionParts.sessions.add(session);
    const handshake = new UwsHandshake(
      response,
      head,
      opening.subprotocols,
      context,
      session,
      this.#compress,
    );
    return this.#contain(session, () => session.start(opening, handshake));
  }

  /** The opening handshake, or the status it is refused with. */
  #judge(head: RequestHead): Opening | number {
    if (checkHandshake(head) === undefined) this.parts.sessionParts.metrics.connections.inc();
    const opening = judgeOpening(head, this.parts.rules);
    if (typeof opening === 'number') return opening;
    return this.parts.failedLogins.allows(opening.client.ip) ? opening : 429;
  }
}

/** A request for an upgrade that may be answered now or later. */
class UwsHandshake implements ClientHandshake {
  #response: HttpResponse | undefined;

  constructor(
    response: HttpResponse,
    readonly head: RequestHead,
    readonly offered: readonly string[],
    readonly context: us_socket_context_t,
    readonly session: Session,
    readonly compress: boolean,
  ) {
    this.#response = response;
    response.onAborted(() => {
      this.#response = undefined;
      session.onClientClosed(1006, '');
    });
  }

  accept(subprotocol: string | undefined): ClientSocket | undefined {
    const response = this.#response;
    if (response === undefined) return undefined;
    this.#response = undefined;
    const socket = new UwsClientSocket(this.compress);
    const data: SocketData = { session: this.session, socket };
    const { headers } = this.head;
    response.cork(() => {
      response.writeStatus('101 Switching Protocols');
      writeSecurityHeaders(response);
      response.upgrade(
        data,
        headers.get('sec-websocket-key')?.[0] ?? '',
        subprotocol ?? '',
        headers.get('sec-websocket-extensions')?.join(', ') ?? '',
        this.context,
      );
    });
    return socket;
  }
}

/** Status alone: why is nobody's business outside. */
function refuse(response: HttpResponse, status: number): void {
  // RFC 6455 §4.4
  const headers = status === 426 ? { 'Sec-WebSocket-Version': '13', Upgrade: 'websocket' } : {};
  answer(response, { status, headers, close: true });
}

function compressionOf(compression: ListenConfig['compression']): number {
  switch (compression) {
    case 'off':
      return uWS.DISABLED;
    case 'shared':
      return uWS.SHARED_COMPRESSOR;
    case 'dedicated':
      return uWS.DEDICATED_COMPRESSOR_4KB;
  }
}
