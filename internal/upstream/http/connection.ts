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

/** Our idle connections close before most servers close them; one that says so in Keep-Alive is believed. */
const KEEP_ALIVE_MS = 4_000;

/**
 * Over TLS even what has been taken may wait for a moment before that is known: so much of
 * it, in bytes, is no sign.
 */
const MAX_UNTAKEN_BYTES = 32_768;

/** Hears what nobody wants to. */
const NOBODY: SocketOwner = {
  socketRead: () => false,
  socketEnded: () => {},
  socketFailed: () => {},
  socketClosed: () => {},
};

/** What goes out on a connection. */
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

/** The request that a connection serves. Nothing is told after `onEnd` or `onError`. */
export interface Passenger {
  /** There is a connection: the request goes out. */
  onConnected(): void;
  /** @param headers name and value by turns. */
  onHead(status: number, statusText: string, headers: FlatHeaders): void;
  /** @param chunk lent: right until this returns. @returns false: no more until `resume`. */
  onBytes(chunk: Buffer): boolean;
  onEnd(trailers: FlatHeaders): void;
  onError(error: Error): void;
  /** What stands behind the last chunk of its body, whole lines; '': nothing. @throws Unsendable */
  trailers(): string;
}

/** Makes sockets, for an endpoint and with a time of its own. */
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
  /** When it is to be given up if it is idle, on the monotonic clock. */
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
  /** Whether it had served before its request. */
  isReused: boolean = false;
  /** Whether a byte has come since its request went out. */
  isAnswering: boolean = false;

  /** @param onLost it has gone while it served nobody. */
  constructor(
    readonly dial: Dial,
    readonly onLost: (connection: Connection) => void,
  ) {}

  /** Whether it can take a request without a dial. */
  get isOpen(): boolean {
    return this.#stage === 'open';
  }

  /** To be called while it serves nobody. @throws Unsendable */
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
   * Of a request whose body is to come nothing goes out yet: what an idle connection says
   * meanwhile is no answer to it.
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

  /** Drops it, and what it serves without a word. */
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

  /** The dial is over, one way or the other. */
  #dialled(): void {
    clearTimeout(this.#connectTimer);
    this.#connectTimer = undefined;
    this.dial.endpoint.turns.give();
  }

  /** @internal Sends the request that it was given. */
  write(): void {
    const socket = this.#socket;
    const outgoing = this.#outgoing;
    const passenger = this.#passenger;
    // It may have gone, or its request, while that waited.
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
    // Of a request that is answered before its end, nobody wants the rest; nothing can follow it.
    if (!isReusable || this.#upload !== undefined || this.#isStuck) this.#leave();
    else this.idleUntilMs = performance.now() + this.#keepAliveMs;
    this.resume();
    passenger?.onEnd(trailers);
  }

  /** Whether the other side has left much of a request untaken. */
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
    // Nothing of the request went out: that is as if the connection had been found dead before it was chosen.
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
