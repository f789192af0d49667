import { DenseSet } from '../../collections/dense-set.js';
import { fromUnknown } from '../../errors.js';
import type { ClientWire } from '../../exchange/client-wire.js';
import type { RequestHead } from '../../request/head.js';
import { PacedQueue } from '../../runtime/paced-queue.js';
import { selectable } from '../../session/opening/opening.js';
import type { TimerWheel } from '../../session/timer-wheel.js';
import type { ReusedBuffer } from '../../upstream/socket/reused-buffer.js';
import type { UpstreamSocket } from '../../upstream/socket/socket.js';
import type { Sockets } from '../../upstream/socket/sockets.js';
import { FrameWriter } from '../../upstream/websocket/frame-writer.js';
import type { Answer } from '../answer.js';
import { earlyRefusal, UNREAD_HEAD } from '../early-refusal.js';
import type { Endpoint } from '../endpoint.js';
import type { Listener, ListenerParts } from '../listener.js';
import { type Accepted, type Acceptor, createAcceptor, discard, isHandle, peerOf } from './acceptor.js';
import { lastAnswer } from './answer-bytes.js';
import type { ClientSocketShared } from './client-socket.js';
import { type Connection, HandleConnection, StreamConnection, streamOf } from './connection.js';
import { Entrance } from './entrance.js';
import { NodeHandshake } from './handshake.js';
import type { ReadHead } from './head-reader.js';
import { HttpSide } from './http-side.js';
import { Farewell } from './linger.js';
import { RequestConnection, type RequestRules } from './request-connection.js';
import { TlsSide } from './tls-side.js';

/**
 * New connections served in one turn of the event loop: a handshake takes 0.1 ms, ten times that in a process
 * that has just started, and many at once must not delay open sessions.
 */
const NEW_A_TURN = 2;

/** Connections that the supervisor has accepted for this process. */
export interface HandedConnections {
  /** From now on each is given to `take`. */
  start(take: (accepted: Accepted) => void): void;
}

/** The listener on Node's own TCP handles, `net` and `tls`. */
export class NodeListener implements Listener, RequestRules {
  readonly #entrance: Entrance;
  readonly #http: HttpSide;
  readonly #acceptor: Acceptor;
  readonly #tls: TlsSide | undefined;
  readonly #clients: ClientSocketShared;
  /** Connections that await a request or are answered by a `RequestConnection`. */
  readonly #requesting = new DenseSet<RequestConnection>();
  readonly #takingUp = new PacedQueue(NEW_A_TURN);
  #taking: boolean = true;
  #draining: boolean = false;

  /**
   * @param sockets shared with the upstream side: all read into one buffer.
   * @param handed undefined: this process accepts itself.
   */
  constructor(
    readonly parts: ListenerParts,
    readonly sockets: Sockets,
    readonly handed: HandedConnections | undefined,
  ) {
    const { gate, config } = parts;
    const { sessions } = gate.sessionParts;
    this.#entrance = new Entrance(sessions.limits.maxConnections, sessions.slots.perIp, gate.rules.proxies);
    this.#http = new HttpSide({ ...parts, wheel: this.wheel }, (head, stream, early) => {
      const { socket } = new StreamConnection(sockets.readBuffer, stream, head.peer);
      this.#handshake(head, socket, early);
      socket.resume();
    });
    this.#acceptor = createAcceptor(sockets.tcp?.binding ?? null, (accepted) => this.#accept(accepted));
    this.#tls =
      config.tls &&
      new TlsSide(config.tls, (stream, peer) =>
        this.#greet(new StreamConnection(sockets.readBuffer, stream, peer)),
      );
    this.#clients = {
      readBuffer: sockets.readBuffer,
      writer: new FrameWriter(undefined),
    };
  }

  async listen(): Promise<number> {
    const { host, port } = this.parts.config;
    if (this.handed === undefined) return this.#acceptor.listen(host, port);
    this.handed.start((accepted) => this.#accept(accepted));
    return port;
  }

  async renewCertificate(): Promise<void> {
    this.#tls?.renew();
  }

  drain(): void {
    this.#draining = true;
    for (const requesting of this.#requesting) requesting.closeIdle();
    this.#http.closeIdle();
  }

  leave(): void {
    this.#taking = false;
    this.#acceptor.close();
  }

  close(): void {
    this.#taking = false;
    this.#acceptor.close();
    for (const requesting of this.#requesting) requesting.close();
    this.#http.close();
  }

  #accept(accepted: Accepted): void {
    const peer = peerOf(accepted);
    if (peer === undefined || !this.#taking) return discard(accepted);
    const limit = this.#entrance.tryEnter(peer);
    if (limit !== undefined) {
      discard(accepted);
      return this.parts.gate.refuseConnection(peer, limit);
    }
    const { tcp, readBuffer } = this.sockets;
    if (this.#tls === undefined && tcp !== null && isHandle(accepted))
      return this.#greet(new HandleConnection(tcp, this.#entrance, accepted, peer));
    const stream = streamOf(accepted);
    stream.once('close', () => this.#entrance.leave(peer));
    const tls = this.#tls;
    if (tls === undefined) return this.#greet(new StreamConnection(readBuffer, stream, peer));
    this.#takingUp.run(() => {
      // The client may have gone before its turn came.
      if (this.#taking && !stream.destroyed) tls.take(stream);
      else stream.destroy();
    });
  }

  #greet(connection: Connection): void {
    const requesting = new RequestConnection(connection, this);
    this.#requesting.add(requesting);
    this.#takingUp.run(() => {
      if (this.#requesting.has(requesting)) requesting.begin();
    });
  }

  get wheel(): TimerWheel {
    return this.parts.gate.sessionParts.wheel;
  }

  get readBuffer(): ReusedBuffer {
    return this.sockets.readBuffer;
  }

  /** @internal */
  get draining(): boolean {
    return this.#draining;
  }

  /** @internal */
  gone(requesting: RequestConnection): void {
    this.#requesting.delete(requesting);
  }

  /** @internal */
  exchange(wire: ClientWire, connection: Connection, read: ReadHead): boolean {
    const { httpRoutes, endpoints } = this.parts;
    if (httpRoutes === undefined) return false;
    const head = headOf(connection, read);
    return endpoints.endpointFor(head) === undefined && httpRoutes.serve(wire, head);
  }

  /** @internal */
  http(connection: Connection, received: Buffer): void {
    this.#http.take(connection.asStream(received), connection.peer);
  }

  /** @internal */
  refuse(connection: Connection, status: 400 | 431): void {
    const { peer, secure } = connection;
    this.parts.gate.turnAwayUnread({ ...UNREAD_HEAD, peer, secure }, status);
    this.#answer(connection.socket, earlyRefusal(status, this.parts.httpRoutes), false);
  }

  /** @internal */
  handshake(connection: Connection, read: ReadHead, early: Buffer): void {
    this.#handshake(headOf(connection, read), connection.socket, early);
  }

  #handshake(head: RequestHead, socket: UpstreamSocket, early: Buffer): void {
    const { gate, endpoints } = this.parts;
    const endpoint = endpoints.endpointFor(head);
    if (endpoint !== undefined) return this.#answerFrom(endpoint, head, socket);
    const admitted = gate.admit(head, this.#entrance.counts(head.peer));
    if ('status' in admitted) return this.#answer(socket, admitted, head.method === 'HEAD');
    const { session, opening } = admitted;
    const key = head.headers.get('sec-websocket-key')?.[0] ?? '';
    // Copied: `early` may lie in the shared read buffer.
    const kept = early.length === 0 ? NOTHING : Buffer.from(early);
    const handshake = new NodeHandshake(socket, key, selectable(opening), kept, session, this.#clients);
    try {
      session.start(opening, handshake);
    } catch (thrown) {
      session.close('internalError', undefined, fromUnknown(thrown));
    }
  }

  /** An endpoint answers a handshake on its path like any other request. */
  #answerFrom(endpoint: Endpoint, head: RequestHead, socket: UpstreamSocket): void {
    const bodiless = head.method === 'HEAD';
    if (endpoint.kind === 'now') return this.#answer(socket, endpoint.answer(), bodiless);
    const say = this.#farewell(socket);
    endpoint.answer({ head, body: Promise.resolve(NOTHING) }).then(
      (answer) => say(answer, bodiless),
      () => say({ status: 500 }, bodiless),
    );
  }

  #answer(socket: UpstreamSocket, answer: Answer, bodiless: boolean): void {
    this.#farewell(socket)(answer, bodiless);
  }

  #farewell(socket: UpstreamSocket): (answer: Answer, bodiless: boolean) => void {
    const farewell = new Farewell(this.wheel, socket);
    return (answer, bodiless) => farewell.say(lastAnswer(answer, bodiless));
  }
}

const NOTHING = Buffer.alloc(0);

function headOf({ peer, secure }: Connection, read: ReadHead): RequestHead {
  const { method, target, query, hasQuery, headers, isOld } = read;
  return { method, target, query, hasQuery, headers, peer, secure, isOld };
}
