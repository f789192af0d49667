import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { RequestHead } from '../../request/head.js';
import type { TimerWheel } from '../../session/timer-wheel.js';
import { type Answer, answerBody, answerHeaders, hasNoBody } from '../answer.js';
import { earlyRefusal, UNREAD_HEAD } from '../early-refusal.js';
import { type Endpoint, MAX_BODY_BYTES, PROBES } from '../endpoint.js';
import type { HttpEndpoints } from '../endpoints.js';
import type { Gate } from '../gate.js';
import type { HttpRoutes } from '../http-routes.js';
import { lastAnswer } from './answer-bytes.js';
import { behindAnswers, ignore, insteadInTurn, inTurn, openAnswers } from './answer-turns.js';
import {
  type BusyStream,
  isMidAnswer,
  isOver,
  isSaid,
  LAST,
  LATEST,
  PEER,
  peerOf,
  REFUSED,
  WIRE,
} from './busy-stream.js';
import { framingFault, MAX_HEAD_BYTES, MAX_HEADER_LINES } from './head-reader.js';
import { answeredHead, incomingHead, isSpoken, isUnderWay, withoutOffer } from './incoming-head.js';
import { lingers } from './linger.js';
import { NodeHttpWire } from './node-http-wire.js';
import { readBody } from './request-body.js';
import { asksForWebSocket } from './request-connection.js';
import { Stalls } from './stalled.js';

/** Time for a head, from its first byte, and for the next request on a connection; SPEC section 4a. */
const HEAD_TIMEOUT_MS = 10_000;
/** How often slow heads are looked for. */
const CHECK_MS = 1_000;

export interface HttpSideParts {
  /** Refuses requests that neither an endpoint nor a route answers. */
  readonly gate: Pick<Gate, 'turnAway' | 'turnAwayUnread'>;
  readonly endpoints: HttpEndpoints;
  readonly wheel: TimerWheel;
  /** undefined: there are none. */
  readonly httpRoutes?: HttpRoutes | undefined;
}

/** Takes over a kept-alive connection that asks for a WebSocket. */
export type OnUpgrade = (head: RequestHead, stream: Socket, early: Buffer) => void;

/**
 * Serves all requests that are no WebSocket handshake on node:http: the gateway's own endpoints, and HTTP
 * routes.
 */
export class HttpSide {
  readonly #server: Server = this.#createServer();
  readonly #stalls: Stalls;

  /**
   * @param onUpgrade undefined: no WebSockets are served here, and a handshake is a request like any other.
   */
  constructor(
    readonly parts: HttpSideParts,
    readonly onUpgrade?: OnUpgrade,
  ) {
    this.#stalls = new Stalls(parts.wheel);
  }

  /** Takes a connection over. @param peer its address at accept, in canonical form. */
  take(stream: BusyStream, peer: string): void {
    stream[PEER] = peer;
    this.#begin(stream);
    // At the client's end, node:http ends the connection after the answers that are under way.
    stream.once('end', () => this.#stalls.watch(stream));
  }

  #begin(stream: BusyStream): void {
    this.#server.emit('connection', stream);
    // Behind node:http's own listener, which reads on the word of a resume that is no more.
    stream.off('resume', stopIfPaused).on('resume', stopIfPaused);
    // A stream that was paused does not flow again by itself.
    stream.resume();
  }

  /** Closes connections that wait for another request. */
  closeIdle(): void {
    const busy = [...this.#stalls];
    // node:http takes a connection for idle whose last answer still waits for the client to take it. It
    // closes idle ones all or none (Node.js 20 to 24), and only its own list tells them from those in the
    // midst of a head: for the time of this call, the busy ones cannot be destroyed.
    for (const stream of busy) stream.destroy = () => stream;
    this.#server.closeIdleConnections();
    for (const stream of busy) Reflect.deleteProperty(stream, 'destroy');
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close(() => {});
  }

  #createServer(): Server {
    const options = {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: HEAD_TIMEOUT_MS,
      // It promises whole seconds, one less than this: a client that keeps to it comes in time.
      keepAliveTimeout: HEAD_TIMEOUT_MS - 1,
      // No limit for whole requests, as uploads take their time; each reader of a body has a limit of its
      // own.
      requestTimeout: 0,
      connectionsCheckingInterval: CHECK_MS,
      insecureHTTPParser: false,
      // Refused in `#serve`: node:http would answer by itself, and nobody count it.
      requireHostHeader: false,
      // Node.js 24 and later ask: an upgrade with a body still to come is served as an ordinary request.
      shouldUpgradeCallback: (request: IncomingMessage) => !isUnderWay(request),
    };
    const server = createServer(options);
    // Header lines are bounded in bytes, and too many are refused in `#serve`: with a count here node:http
    // would drop them silently.
    server.maxHeadersCount = 0;
    const guard = (expectsContinue: boolean) => (request: IncomingMessage, response: ServerResponse) =>
      this.#guard(request, response, expectsContinue);
    server
      .on('request', guard(false))
      .on('checkContinue', guard(true))
      // RFC 9110 §10.1.1: other expectations may be ignored. node:http would refuse them with 417, uncounted
      // and unlogged.
      .on('checkExpectation', guard(false))
      .on('connect', (request: IncomingMessage, stream: BusyStream) => this.#refuseTunnel(request, stream))
      .on('upgrade', (request: IncomingMessage, stream: BusyStream, early: Buffer) =>
        this.#upgrade(request, stream, early),
      )
      .on('clientError', (error: NodeJS.ErrnoException, stream: Socket) => this.#unreadable(error, stream))
      // node:http starts its check for slow heads on this event, and this server never listens itself.
      .emit('listening');
    return server;
  }

  /**
   * RFC 9110 §9.3.6. node:http makes no ServerResponse for a CONNECT: the refusal is written to the stream.
   */
  #refuseTunnel(request: IncomingMessage, stream: BusyStream): void {
    if (openAnswers(stream) > 0 || lingers(stream)) {
      stream.destroy();
      return;
    }
    const status = this.parts.gate.turnAwayUnread(incomingHead(request, peerOf(stream)), 501);
    stream.write(lastAnswer(earlyRefusal(status, this.parts.httpRoutes), false));
    stream.destroySoon();
  }

  #guard(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const stream: BusyStream = request.socket;
    if (isOver(stream)) return ignore(stream, request);
    stream[LATEST] = response;
    stream[WIRE] = undefined;
    response
      .once('prefinish', () => this.#stalls.watch(stream))
      .once('close', () => this.#stalls.forget(stream));
    inTurn(stream, response, () => {
      if (!isOver(stream)) this.#serve(request, response, expectsContinue);
    });
  }

  #upgrade(request: IncomingMessage, stream: BusyStream, early: Buffer): void {
    if (lingers(stream) || stream !== request.socket) {
      stream.destroy();
      return;
    }
    const head = incomingHead(request, peerOf(stream));
    // After the answers to earlier requests, which its own would overtake.
    behindAnswers(stream, () => {
      if (isOver(stream)) return;
      stream.setTimeout(0);
      if (this.onUpgrade !== undefined && asksForWebSocket(head.headers))
        return this.onUpgrade(head, stream, early);
      // RFC 9110 §7.8: an upgrade to another protocol may be ignored. node:http cannot do so: it is given the
      // request again without the Upgrade header.
      stream.pause();
      stream.unshift(Buffer.concat([withoutOffer(request), early]));
      this.#begin(stream);
    });
  }

  #serve(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const { gate, endpoints, httpRoutes } = this.parts;
    const head = answeredHead(request, peerOf(request.socket));
    if (request.rawHeaders.length > 2 * MAX_HEADER_LINES)
      return this.#refuseUnread(response, gate.turnAwayUnread(head, 431));
    if (!isSpoken(request) || framingFault(head.headers, head.isOld))
      return this.#refuseUnread(response, gate.turnAwayUnread(head, 400));
    const endpoint = endpoints.endpointFor(head);
    if (endpoint !== undefined)
      return this.#serveEndpoint(endpoint, head, request, response, expectsContinue);
    const stream: BusyStream = request.socket;
    const wire = new NodeHttpWire({ request, response }, head, expectsContinue, () => {
      stream[LAST] = true;
    });
    if (stream[LATEST] === response) stream[WIRE] = wire;
    // As on a connection that is new: what asks for a WebSocket is no exchange.
    const isExchange = this.onUpgrade === undefined || !asksForWebSocket(head.headers);
    if (!isExchange || httpRoutes?.serve(wire, head) !== true) send(response, gate.turnAway(head), false);
  }

  #serveEndpoint(
    endpoint: Endpoint,
    head: RequestHead,
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): void {
    if (endpoint.kind === 'now') return send(response, endpoint.answer(), PROBES.includes(head.target));
    if (expectsContinue) response.writeContinue();
    const body = readBody(request, MAX_BODY_BYTES);
    endpoint.answer({ head, body }).then(
      (answer) => send(response, answer, false),
      () => send(response, { status: 500 }, false),
    );
  }

  #refuseUnread(response: ServerResponse, status: number): void {
    send(response, earlyRefusal(status, this.parts.httpRoutes), false);
  }

  /** A request that node:http could not parse, of which it gives no head. */
  #unreadable(error: NodeJS.ErrnoException, stream: BusyStream): void {
    // RFC 9112 §9.6: what comes behind a request that is the last of its connection is no request. Its own
    // answer may be under way, and end with the connection.
    if (error.code === 'HPE_CLOSED_CONNECTION') return;
    const isGone = error.code === 'ECONNRESET' || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    const { [LATEST]: latest } = stream;
    // The rest of a request that has its answer gets no other.
    const isRest = latest?.req.complete === false && openAnswers(stream) === 0;
    if (!stream.writable || isGone || isRest || lingers(stream)) return void stream.destroy();
    if (stream[LAST] === true) {
      // The last answer is under way already, maybe before the end of its request, whose body is broken now.
      if (latest?.req.complete === false) stream[WIRE]?.broken(error.code ?? error.message);
      return;
    }
    if (latest === undefined || openAnswers(stream) === 0) return this.#refuseUnreadable(error, stream);
    if (
      !latest.req.complete &&
      insteadInTurn(stream, latest, () => isOver(stream) || this.#refuseUnreadable(error, stream))
    )
      return;
    if (!latest.req.complete && stream[WIRE]?.broken(error.code ?? error.message) === true) return;
    if (!isMidAnswer(stream) || isSaid(latest)) return this.#refuseUnreadable(error, stream);
    // It is the body of a request whose answer has begun; or else the head of the next request, which is
    // refused after that answer.
    if (!latest.req.complete) stream.destroy();
    else if (stream[REFUSED] !== true) {
      stream[REFUSED] = true;
      // On 'prefinish', as Node.js 24 ends the stream before 'finish'.
      latest.once('prefinish', () => {
        if (stream.writable && !lingers(stream)) this.#refuseUnreadable(error, stream);
      });
    }
  }

  #refuseUnreadable(error: NodeJS.ErrnoException, stream: BusyStream): void {
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
    this.parts.gate.turnAwayUnread(
      { ...UNREAD_HEAD, peer: peerOf(stream), secure: stream instanceof TLSSocket },
      status,
    );
    stream.write(lastAnswer(earlyRefusal(status, this.parts.httpRoutes), false));
    stream.destroySoon();
  }
}

/** @param keep whether the connection may be kept for another request. */
function send(response: ServerResponse, answer: Answer, keep: boolean): void {
  if (response.destroyed) return;
  for (const [name, value] of answerHeaders(answer)) response.setHeader(name, value);
  const body = Buffer.from(answerBody(answer), 'utf8');
  if (!hasNoBody(answer.status)) response.setHeader('Content-Length', body.length);
  // The rest of a body that is still under way is not read.
  if (!keep || isUnderWay(response.req)) {
    const stream: BusyStream = response.req.socket;
    stream[LAST] = true;
    response.setHeader('Connection', 'close');
  }
  response.writeHead(answer.status);
  response.end(body);
}

/** A stream that is paused in the turn of its resume: node:http, told of both in the wrong order, reads. */
function stopIfPaused(this: Socket): void {
  if (this.isPaused()) this.emit('pause');
}
