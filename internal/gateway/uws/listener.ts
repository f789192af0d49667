import type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket_context_t,
  WebSocket,
} from 'uWebSockets.js';
import type { ListenConfig } from '../../config/config.js';
import { fromUnknown, GatewayError } from '../../errors.js';
import type { RequestHead } from '../../request/head.js';
import { selectable } from '../../session/opening/opening.js';
import type { Session } from '../../session/session.js';
import type { Answer } from '../answer.js';
import type { Listener, ListenerParts } from '../listener.js';
import { leaveIn, UwsHandshake } from './client-handshake.js';
import type { SocketData } from './client-socket.js';
import { serveEndpoint } from './endpoint.js';
import { sendAnswer } from './http-response.js';
import { readHead } from './request-head.js';
import { uWS } from './uws.js';

/**
 * A message this much over MAX_MESSAGE_BYTES is still taken in, so that it can be answered 1009;
 * uWebSockets.js drops the connection for larger ones.
 */
const OVERSIZE_SLACK_BYTES = 1_048_576;

/** Far above MAX_BUFFERED_BYTES, where reading from the upstream stops: a last line that is never reached. */
const BACKPRESSURE_SLACK_BYTES = 4_194_304;

/** The listener on uWebSockets.js: one app for HTTP and WebSocket clients. */
export class UwsListener implements Listener {
  /** The one that listens, and those whose certificate has been replaced, which keep their connections. */
  readonly #apps: TemplatedApp[];
  readonly #compress: boolean;
  /** Where the open handler leaves a WebSocket for whoever upgrades it, see `UwsHandshake.accept`. */
  readonly #opened: WebSocket<SocketData>[] = [];
  #listening: us_listen_socket | undefined;
  #open: boolean = false;

  constructor(readonly parts: ListenerParts) {
    this.#compress = parts.config.compression !== 'off';
    this.#apps = [this.#createApp()];
  }

  async listen(): Promise<number> {
    const { port, tls } = this.parts.config;
    this.#listening = await this.#bind(port);
    this.#open = true;
    const bound = uWS.us_socket_local_port(this.#listening);
    // A port of the system's choice is bound without SO_REUSEADDR: beside live connections it
    // could not be bound again.
    if (port === 0 && tls !== undefined) await this.#bindAgain(this.#listening, bound);
    return bound;
  }

  async renewCertificate(): Promise<void> {
    // uWebSockets.js reads certificates only when it creates an app.
    this.#apps.unshift(this.#createApp());
    const listening = this.#listening;
    if (listening === undefined) return;
    await this.#bindAgain(listening, uWS.us_socket_local_port(listening));
  }

  async #bindAgain(listening: us_listen_socket, port: number): Promise<void> {
    uWS.us_listen_socket_close(listening);
    this.#listening = undefined;
    // In the same turn of the loop: nobody has had the time to take the port.
    this.#listening = await this.#bind(port);
  }

  async #bind(port: number): Promise<us_listen_socket> {
    const { host, workers } = this.parts.config;
    const options = workers > 1 ? uWS.LIBUS_LISTEN_DEFAULT : uWS.LIBUS_LISTEN_EXCLUSIVE_PORT;
    const socket = await new Promise<us_listen_socket | false>((resolve) => {
      this.#apps[0]?.listen(host, port, options, resolve);
    });
    if (socket) return socket;
    throw new GatewayError('ERR_LISTEN', `HOST, PORT: cannot listen on ${host}:${port}, is the port in use?`);
  }

  /** uWebSockets.js knows no idle connections; they end after 10 s. */
  drain(): void {}

  leave(): void {
    if (this.#listening === undefined) return;
    uWS.us_listen_socket_close(this.#listening);
    this.#listening = undefined;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#listening = undefined;
    for (const app of this.#apps) app.close();
  }

  #createApp(): TemplatedApp {
    const { config } = this.parts;
    const { sessionParts } = this.parts.gate;
    const { tls } = config;
    const app = tls === undefined ? uWS.App() : secureApp(tls);
    app.ws<SocketData>('/*', {
      maxPayloadLength: this.parts.maxMessageBytes + OVERSIZE_SLACK_BYTES,
      maxBackpressure: sessionParts.config.maxBufferedBytes + BACKPRESSURE_SLACK_BYTES,
      // Silence is watched by the sessions: uWebSockets.js takes what it sends itself for a sign of life.
      idleTimeout: 0,
      sendPingsAutomatically: false,
      compression: compressionOf(config.compression),
      upgrade: (response, request, context) =>
        this.#guard(response, () => this.#upgrade(response, request, context)),
      open: leaveIn(this.#opened),
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
        const reason = message.byteLength === 0 ? '' : Buffer.from(message).toString('utf8');
        this.#contain(session, () => session.onClientClosed(code, reason));
      },
    });
    return app.any('/*', (response, request) =>
      this.#guard(response, () => this.#request(response, request)),
    );
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
      this.parts.gate.sessionParts.log.error({ err: fromUnknown(thrown) }, 'request failed');
      response.close();
    }
  }

  #request(response: HttpResponse, request: HttpRequest): void {
    const head = readHead(request, response, this.parts.config.tls !== undefined);
    if (isProxied(response)) return this.#refuseProxied(head, response);
    if (serveEndpoint(this.parts.endpoints, head, response)) return;
    // uWebSockets.js brings only requests here that its own check does not take for handshakes.
    this.#refuse(response, this.parts.gate.turnAway(head), head.method === 'HEAD');
  }

  #upgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const head = readHead(request, response, this.parts.config.tls !== undefined);
    if (isProxied(response)) return this.#refuseProxied(head, response);
    if (serveEndpoint(this.parts.endpoints, head, response)) return;
    const admitted = this.parts.gate.admit(head, false);
    if ('status' in admitted) return this.#refuse(response, admitted);
    const { session, opening } = admitted;
    const handshake = new UwsHandshake(
      response,
      head,
      selectable(opening),
      context,
      session,
      this.#compress,
      this.#opened,
    );
    return this.#contain(session, () => session.start(opening, handshake));
  }

  /**
   * A connection that begins so has no second request, in which its client could take the header back.
   * Dropped, not answered: behind a last answer uWebSockets.js still serves what came in the same read.
   */
  #refuseProxied(head: RequestHead, response: HttpResponse): void {
    this.parts.gate.turnAwayUnread(head, 400);
    response.close();
  }

  #refuse(response: HttpResponse, answer: Answer, bodiless = false): void {
    sendAnswer(response, answer, { close: true, bodiless });
  }
}

/** PROXY protocol headers are read by uWebSockets.js whoever sends them; the gateway takes none. */
function isProxied(response: HttpResponse): boolean {
  return response.getProxiedRemoteAddress().byteLength > 0;
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

/**
 * What `check` passes is refused here now and then: its TLS is BoringSSL's, which knows fewer
 * curves and no byte order mark.
 */
function secureApp({ certFile, keyFile }: NonNullable<ListenConfig['tls']>): TemplatedApp {
  try {
    return uWS.SSLApp({ cert_file_name: certFile, key_file_name: keyFile });
  } catch {
    throw new GatewayError(
      'ERR_CONFIG',
      'TLS_CERT_FILE, TLS_KEY_FILE: uWebSockets.js cannot use what they hold: take another kind of key, or LISTENER=node',
    );
  }
}
