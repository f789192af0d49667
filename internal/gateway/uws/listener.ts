import type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket_context_t,
  WebSocket,
} from 'uWebSockets.js';
import { randomUUID } from 'node:crypto';
import type { ListenConfig } from '../../config/config.js';
import { fromUnknown, GatewayError } from '../../errors.js';
import type { FailedLogins } from '../../ratelimit/failed-logins.js';
import { isGivenRequestId } from '../../request/forwarded.js';
import { type Opening, selectable } from '../../session/opening.js';
import { Session } from '../../session/session.js';
import type { SessionParts } from '../../session/session-parts.js';
import type { Tracing } from '../../telemetry/tracing.js';
import type { HttpEndpoints } from '../endpoints.js';
import { checkHandshake, judgeOpening, type OpeningRules, type RequestHead } from '../opening.js';
import { RefusalLog } from '../refusal-log.js';
import { leaveIn, UwsHandshake } from './client-handshake.js';
import type { SocketData } from './client-socket.js';
import { answer } from './http-response.js';
import { readHead } from './request-head.js';
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
  readonly tracing: Tracing;
}

/** The public face: one uWebSockets.js app that serves HTTP and hands WebSocket clients to sessions. */
export class Listener {
  /** The one that listens, and those whose certificate has been replaced since, which keep their connections. */
  readonly #apps: TemplatedApp[];
  readonly #compress: boolean;
  readonly #refusals: RefusalLog;
  /** Where the open handler leaves a WebSocket for whoever upgrades it, see `UwsHandshake.accept`. */
  readonly #opened: WebSocket<SocketData>[] = [];
  #listening: us_listen_socket | undefined;
  #open: boolean = false;

  constructor(readonly parts: ListenerParts) {
    this.#compress = parts.config.compression !== 'off';
    this.#refusals = new RefusalLog(parts.sessionParts.log, parts.rules.proxies);
    this.#apps = [this.#createApp()];
  }

  /**
   * Binds the address: exclusively, or with several workers so that each of them can (SO_REUSEPORT).
   * @returns the port, which differs from the configured one when that is 0.
   * @throws GatewayError ERR_LISTEN
   */
  async listen(): Promise<number> {
    const { port, tls } = this.parts.config;
    this.#listening = await this.#bind(port);
    this.#open = true;
    const bound = uWS.us_socket_local_port(this.#listening);
    // A port of the system's choice is bound without SO_REUSEADDR: beside live connections it could not be bound again.
    if (port === 0 && tls !== undefined) await this.#bindAgain(this.#listening, bound);
    return bound;
  }

  /**
   * Shows new clients the certificate that the files hold now; those that are connected stay.
   * @throws Error when the files are of no use: then nothing has changed. GatewayError ERR_LISTEN
   */
  async renewCertificate(): Promise<void> {
    const listening = this.#listening;
    if (listening === undefined) return;
    // uWebSockets.js reads certificates only when it creates an app.
    this.#apps.unshift(this.#createApp());
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
    for (const app of this.#apps) app.close();
  }

  #createApp(): TemplatedApp {
    const { sessionParts, config } = this.parts;
    const { tls } = config;
    const app =
      tls === undefined
        ? uWS.App()
        : uWS.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
    app.ws<SocketData>('/*', {
      maxPayloadLength: sessionParts.config.maxMessageBytes + OVERSIZE_SLACK_BYTES,
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
      this.parts.sessionParts.log.error({ err: fromUnknown(thrown) }, 'request failed');
      response.close();
    }
  }

  #request(response: HttpResponse, request: HttpRequest): void {
    const head = readHead(request, response, this.parts.config.tls !== undefined);
    if (this.parts.endpoints.serve(head, response)) return;
    const opening = this.#judge(head);
    // uWebSockets.js brings only requests here that its own check does not take for handshakes.
    this.#refuse(head, response, typeof opening === 'number' ? opening : 426, head.method === 'HEAD');
  }

  #upgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const head = readHead(request, response, this.parts.config.tls !== undefined);
    if (this.parts.endpoints.serve(head, response)) return;
    const opening = this.#judge(head);
    if (typeof opening === 'number') return this.#refuse(head, response, opening);
    const { sessionParts } = this.parts;
    const limit = this.#limit(opening.client.ip);
    if (limit !== undefined) return this.#refuse(head, response, limit);
    const { ip, requestId, traceContext } = opening.client;
    // A request id that was made here is the session's own name, too.
    const id = isGivenRequestId(requestId, head.headers) ? randomUUID() : requestId;
    const trace = this.parts.tracing.opening(id, ip, traceContext);
    const session = new Session(sessionParts, id, ip, requestId);
    sessionParts.sessions.add(session);
    const handshake = new UwsHandshake(
      response,
      head,
      selectable(opening),
      context,
      session,
      this.#compress,
      this.#opened,
    );
    const traced = trace === undefined ? opening : { ...opening, trace };
    return this.#contain(session, () => session.start(traced, handshake));
  }

  /** The opening handshake, or the status it is refused with. */
  #judge(head: RequestHead): Opening | number {
    const fault = checkHandshake(head);
    if (fault === undefined) this.parts.sessionParts.metrics.connections.inc();
    return judgeOpening(head, fault, this.parts.rules);
  }

  /** Status alone: why is nobody's business outside. */
  #refuse(head: RequestHead, response: HttpResponse, status: number, bodiless = false): void {
    if (checkHandshake(head) === undefined) {
      this.parts.sessionParts.metrics.handshakesRefused.inc({ status });
    }
    this.#refusals.refused(head, status);
    // RFC 6455 §4.4
    const headers = status === 426 ? { 'Sec-WebSocket-Version': '13', Upgrade: 'websocket' } : {};
    answer(response, { status, headers, close: true, bodiless });
  }

  /** The status a good handshake is turned away with, in the order of SPEC section 4: full, then the address's own limits. */
  #limit(ip: string): 503 | 429 | undefined {
    const { sessionParts, failedLogins } = this.parts;
    if (sessionParts.sessions.full) return 503;
    if (!failedLogins.allows(ip)) return 429;
    return sessionParts.sessions.slots.perIp.tryEnter(ip) ? undefined : 429;
  }
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
