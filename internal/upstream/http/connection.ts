import type { Readable } from 'node:stream';
import type { FlatHeaders } from '../../request/flat-headers.js';
import type { CircuitState } from '../pool/circuit-breaker.js';
import type { DialTurns } from '../pool/dial-turns.js';
import type { ReusedBuffer } from '../socket/reused-buffer.js';
import type { SocketOwner, UpstreamSocket } from '../socket/socket.js';
import type { AnswerHead } from './answer-head.js';
import { type AnswerParts, AnswerReader } from './answer-reader.js';
import { ConnectionLost, NoTurn } from './connection-lost.js';
import { requestHead } from './request-head.js';
import type { SendQueue } from './send-queue.js';
import { Upload, type UploadListener, writeTogether } from './upload.js';

/** Idle connections are closed before most servers would do so; a server's Keep-Alive header goes before. */
const KEEP_ALIVE_MS = 4_000;
const MAX_AGE_MS = 300_000; // even if never idle: a new one goes where the name leads by then

/**
 * Over TLS it is known a moment later that bytes have been taken: up to this many that wait do not show that
 * the upstream is slow.
 */
const MAX_UNTAKEN_BYTES = 32_768;

/** A listener that ignores everything. */
const NOBODY: SocketOwner = {
  socketRead: () => false,
  socketEnded: () => {},
  socketFailed: () => {},
  socketClosed: () => {},
};

/** A request to be sent on a connection. */
export interface Outgoing {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** Name and value by turns; without Host and framing, with Content-Length if the body has one. */
  readonly headers: readonly string[];
  /** undefined: none. */
  readonly body: Readable | Buffer | undefined;
  /** Whether `headers` say how long the body is. */
  readonly hasLength: boolean;
}

/** Hears of the request that a connection serves. Nothing is called after `onEnd` or `onError`. */
export interface Passenger {
  /** The connection is open: the request is sent. */
  onConnected(): void;
  /** @param headers name and value by turns. */
  onHead(status: number, statusText: string, headers: FlatHeaders): void;
  /** @param chunk lent: right until this returns. @returns false: no more until `resume`. */
  onBytes(chunk: Buffer): boolean;
  onEnd(trailers: FlatHeaders): void;
  onError(error: Error): void;
  /** The trailer section behind the last chunk of its body, in whole lines; '': none. @throws Unsendable */
  trailers(): string;
}

/** Opens sockets to one endpoint, with one connect timeout. */
export interface Dial {
  readonly endpoint: { readonly turns: DialTurns; readonly breaker: { readonly state: CircuitState } };
  /** Time for TCP and TLS, and for the turn among MAX_DIALS_PER_ENDPOINT before them. */
  readonly connectMs: number;
  readonly readBuffer: Pick<ReusedBuffer, 'view'>;
  readonly open: (owner: SocketOwner) => UpstreamSocket;
  readonly queue: Pick<SendQueue, 'add'>;
}

/** One kept-alive connection to an endpoint, one request at a time (RFC 9112 §9.3). */
export class Connection implements SocketOwner, AnswerParts, UploadListener {
  /** When it is closed if it is idle, on the monotonic clock. */
  idleUntilMs = Number.POSITIVE_INFINITY;
  readonly #reader = new AnswerReader(this);
  #stage: 'new' | 'waiting' | 'connecting' | 'open' | 'gone' = 'new';
  #socket: UpstreamSocket | undefined;
  #connectTimer: NodeJS.Timeout | undefined;
  #passenger: Passenger | undefined;
  #outgoing: Outgoing | undefined;
  #head: string = '';
  #upload: Upload | undefined;
  #mayRead: boolean = true;
  #keepAliveMs = KEEP_ALIVE_MS;
  readonly #freshUntilMs = performance.now() + MAX_AGE_MS;
  /** Whether it has served an earlier request. */
  isReused: boolean = false;
  /** Whether a byte has come since its request was sent. */
  isAnswering: boolean = false;

  /** @param onLost called when it is lost while idle. */
  constructor(
    readonly dial: Dial,
    readonly onLost: (connection: Connection) => void,
  ) {}

  /** Whether it is open and can take a request at once. */
  get isOpen(): boolean {
    return this.#stage === 'open';
  }

  /** To be called while it is idle. @throws Unsendable */
  send(outgoing: Outgoing, passenger: Passenger): void {
    const { body, hasLength } = outgoing;
    const isWhole = body === undefined || Buffer.isBuffer(body);
    const length = isWhole ? (body?.length ?? 0) : undefined;
    this.#head = requestHead({ ...outgoing, length, isChunked: !isWhole && !hasLength });
    this.#outgoing = outgoing;
    this.#passenger = passenger;
    this.isAnswering = false;
    this.isReused = this.#stage === 'open';
    if (!this.isReused) this.#takeTurn();
    else if (isWhole || body.readableLength > 0 || body.destroyed) this.dial.queue.add(this);
    else this.#awaitBody(body);
  }

  /**
   * A request whose body is still to come is not sent yet: bytes that an idle connection receives meanwhile
   * are no answer to it.
   */
  #awaitBody(body: Readable): void {
    const begun = (): void => {
      body.off('readable', begun).off('close', begun);
      this.dial.queue.add(this);
    };
    body.on('readable', begun).on('close', begun);
  }

  /** After `onBytes` returned false. */
  resume(): void {
    if (this.#mayRead) return;
    this.#mayRead = true;
    this.#socket?.resume();
  }

  /** Drops the connection, without telling its request's listener. */
  destroy(): void {
    this.#passenger = undefined;
    this.#leave();
  }

  #takeTurn(): void {
    const { endpoint, connectMs } = this.dial;
    const turn = endpoint.turns.take(connectMs, undefined);
    this.#stage = 'waiting';
    if (turn === undefined) return this.#connect();
    turn.then(
      (came) => {
        if (!came) return this.#fail(new NoTurn('no turn came in time among MAX_DIALS_PER_ENDPOINT'));
        if (this.#stage === 'waiting' && endpoint.breaker.state !== 'open') return this.#connect();
        endpoint.turns.give();
        return this.#fail(new NoTurn('its circuit opened while the dial waited for its turn'));
      },
      (thrown: Error) => this.#fail(thrown),
    );
  }

  #connect(): void {
    this.#stage = 'connecting';
    const { connectMs, open } = this.dial;
    this.#connectTimer = setTimeout(
      () => this.#fail(new Error(`not connected within ${connectMs} ms`)),
      connectMs,
    );
    try {
      this.#socket = open(this);
    } catch (thrown) {
      this.#fail(thrown as Error);
    }
  }

  socketReady(): void {
    if (this.#stage !== 'connecting') return;
    this.#dialled();
    this.#stage = 'open';
    this.write();
  }

  /** The dial has succeeded or failed. */
  #dialled(): void {
    clearTimeout(this.#connectTimer);
    this.#connectTimer = undefined;
    this.dial.endpoint.turns.give();
  }

  /** @internal Sends its request. */
  write(): void {
    const socket = this.#socket;
    const outgoing = this.#outgoing;
    const passenger = this.#passenger;
    // The connection or the request may have ended while this waited.
    if (this.#stage !== 'open' || socket === undefined || outgoing === undefined || passenger === undefined)
      return;
    this.#outgoing = undefined;
    passenger.onConnected();
    const { method, body, hasLength } = outgoing;
    this.#reader.expect(method);
    const head = Buffer.from(this.#head, 'latin1');
    this.#head = '';
    if (body === undefined) return socket.write(head);
    if (Buffer.isBuffer(body)) return writeTogether(socket, head, body);
    this.#upload = new Upload(socket, head, body, !hasLength, this);
    this.#upload.start();
  }

  socketRead(length: number): boolean {
    this.isAnswering = true;
    try {
      this.#reader.read(this.dial.readBuffer.view(0, length));
    } catch (thrown) {
      this.#fail(thrown as Error);
    }
    return this.#mayRead;
  }

  socketDrained(): void {
    this.#upload?.drained();
  }

  socketEnded(): void {
    if (!this.#reader.ended()) this.#fail(new ConnectionLost('the other side ended the connection'));
  }

  socketFailed(error: Error): void {
    this.#fail(error);
  }

  socketClosed(): void {
    this.#fail(new ConnectionLost('the connection was closed'));
  }

  answerHead({ status, statusText, headers, keepAliveMs = KEEP_ALIVE_MS }: AnswerHead): void {
    this.#keepAliveMs = keepAliveMs;
    this.#passenger?.onHead(status, statusText, headers);
  }

  answerBytes(chunk: Buffer): void {
    if (this.#passenger?.onBytes(chunk) === false) this.#mayRead = false;
  }

  answerEnd(trailers: FlatHeaders, isReusable: boolean): void {
    const passenger = this.#passenger;
    this.#passenger = undefined;
    // If a request is answered before its end, the rest is not sent, and the connection cannot be used again.
    if (!isReusable || this.#upload !== undefined || this.#isStuck) this.#leave();
    else this.idleUntilMs = Math.min(performance.now() + this.#keepAliveMs, this.#freshUntilMs);
    this.resume();
    passenger?.onEnd(trailers);
  }

  /** Whether much of a request waits for the upstream to take it. */
  get #isStuck(): boolean {
    const socket = this.#socket;
    return socket !== undefined && socket.waitingWrites > 0 && socket.writableLength > MAX_UNTAKEN_BYTES;
  }

  trailers(): string {
    return this.#passenger?.trailers() ?? '';
  }

  uploaded(): void {
    this.#upload = undefined;
  }

  uploadFailed(error: Error): void {
    this.#fail(error);
  }

  #fail(error: Error): void {
    if (this.#stage === 'gone') return;
    // Nothing of the request was sent: as if the connection had been found dead before it was chosen.
    if (this.#stage === 'open' && this.#outgoing !== undefined) return this.#dialAgain();
    const passenger = this.#passenger;
    this.#passenger = undefined;
    this.#leave();
    passenger?.onError(error);
  }

  #dialAgain(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) {
      socket.owner = NOBODY;
      socket.destroy();
    }
    this.isReused = false;
    this.#takeTurn();
  }

  #leave(): void {
    if (this.#stage === 'gone') return;
    const wasConnecting = this.#stage === 'connecting';
    this.#stage = 'gone';
    if (wasConnecting) this.#dialled();
    this.#outgoing = undefined;
    this.#upload?.stop();
    this.#upload = undefined;
    this.#socket?.destroy();
    this.#socket = undefined;
    this.onLost(this);
  }
}
