import { METHODS } from 'node:http';
import type { DenseSetMember } from '../../collections/dense-set.js';
import type { ClientWire } from '../../exchange/client-wire.js';
import { hasBody } from '../../exchange/request-body.js';
import { hasToken } from '../../request/grammar.js';
import type { HeaderLines } from '../../request/head.js';
import { RESET_CHECK_MS } from '../../runtime/tcp-reset.js';
import { Timed, type TimerWheel } from '../../session/timer-wheel.js';
import type { ReusedBuffer } from '../../upstream/socket/reused-buffer.js';
import type { SocketOwner } from '../../upstream/socket/socket.js';
import { BodilessWire, KEEP_ALIVE_SECONDS, type WireConnection } from './bodiless-wire.js';
import type { Connection } from './connection.js';
import { HeadReader, type ReadHead } from './head-reader.js';
import { Farewell } from './linger.js';
import { STALLED_MS } from './stalled.js';

/** Time for a head: of the first request from accept, of others from the first byte; SPEC sections 4, 4a. */
const HEAD_TIMEOUT_MS = 10_000;
/** Bytes that are read behind a request before it is answered; the rest stays in the kernel's buffer. */
const MAX_HELD_BYTES = 16_384;

/** Where the requests of a connection go. */
export interface RequestRules {
  readonly wheel: TimerWheel;
  readonly readBuffer: Pick<ReusedBuffer, 'view'>;
  /** Whether a connection is closed after an answer, unless more has come on it. */
  readonly draining: boolean;
  /** @param early what came behind the head; it may be lent. */
  handshake(connection: Connection, head: ReadHead, early: Buffer): void;
  /** @returns whether an HTTP route answers it on that wire; if not, the wire has not been touched. */
  exchange(wire: ClientWire, connection: Connection, head: ReadHead): boolean;
  /** Any other request. @param received the bytes of the head and what came behind it; they may be lent. */
  http(connection: Connection, received: Buffer): void;
  refuse(connection: Connection, status: 400 | 431): void;
  /** The connection has another owner now, or has ended. */
  gone(connection: RequestConnection): void;
}

/**
 * A connection that requests come on. Those without a body are answered here, one after the other; with the
 * first request of another kind, the whole connection is handed over (see `RequestRules`).
 */
export class RequestConnection extends Timed implements SocketOwner, WireConnection, DenseSetMember {
  denseIndex = -1;
  readonly #reader = new HeadReader();
  /** The answer that is under way; undefined: a request is awaited. */
  #wire: BodilessWire | undefined;
  /** Bytes that came behind the request that is being answered. */
  #held: Buffer = NOTHING;
  #hasServed: boolean = false;
  /** Whether a part of the next head has come. */
  #hasBegun: boolean = false;
  /** Bytes of the answer that waited for the client when `waits` was called last. */
  #waitingBytes = 0;

  constructor(
    readonly connection: Connection,
    readonly rules: RequestRules,
  ) {
    super();
    connection.socket.owner = this;
  }

  begin(): void {
    this.rules.wheel.schedule(this, HEAD_TIMEOUT_MS);
    this.connection.socket.resume();
  }

  socketRead(length: number): boolean {
    const bytes = this.rules.readBuffer.view(0, length);
    // Reading goes on while an answer is under way, as a client that goes would not be noticed otherwise.
    if (this.#wire !== undefined || this.#held.length > 0) this.#held = Buffer.concat([this.#held, bytes]);
    else this.#read(bytes);
    if (!this.#isFull) return true;
    this.#watch();
    return false;
  }

  /**
   * Nothing is read until the answer is over: the socket is checked for a reset from time to time instead.
   */
  #watch(): void {
    if (this.#wire?.isEnded === false) this.rules.wheel.schedule(this, RESET_CHECK_MS);
  }

  get #isFull(): boolean {
    return this.#held.length >= MAX_HELD_BYTES;
  }

  #read(bytes: Buffer): void {
    const verdict = this.#reader.push(bytes);
    if (verdict.kind === 'incomplete') return this.#awaitRest();
    const { connection, rules } = this;
    const { received } = this.#reader;
    if (verdict.kind === 'refused') {
      this.#leave();
      return rules.refuse(connection, verdict.status);
    }
    if (asksForWebSocket(verdict.headers)) {
      this.#leave();
      return rules.handshake(connection, verdict, received.subarray(verdict.length));
    }
    if (isBodiless(verdict) && this.#answer(verdict, received)) return undefined;
    this.#leave();
    return rules.http(connection, received);
  }

  #awaitRest(): void {
    if (this.#hasBegun || !this.#hasServed) return;
    this.#hasBegun = true;
    this.rules.wheel.schedule(this, HEAD_TIMEOUT_MS);
  }

  /** @returns whether it is answered here. */
  #answer(head: ReadHead, received: Buffer): boolean {
    const { connection, rules } = this;
    const wire = new BodilessWire(connection.socket, head, this);
    this.#wire = wire;
    // Copied first: serving the request may end it at once, and may read into the shared buffer again.
    if (received.length > head.length) this.#held = Buffer.from(received.subarray(head.length));
    if (rules.exchange(wire, connection, head)) return true;
    this.#wire = undefined;
    this.#held = NOTHING;
    return false;
  }

  /** See `WireConnection`. */
  answered({ isLast }: BodilessWire): void {
    const { connection, rules } = this;
    this.#wire = undefined;
    if (isLast || (rules.draining && this.#held.length === 0)) {
      this.#leave();
      return new Farewell(rules.wheel, connection.socket).say(NOTHING);
    }
    this.#hasServed = true;
    this.#hasBegun = false;
    this.#reader.restart();
    rules.wheel.schedule(this, KEEP_ALIVE_SECONDS * 1000);
    if (this.#held.length > 0) setImmediate(() => this.#readHeld());
  }

  #readHeld(): void {
    const held = this.#held;
    if (held.length === 0) return;
    this.#held = NOTHING;
    // If the connection is handed over from here, its new owner expects it to read.
    this.connection.socket.resume();
    this.#read(held);
    if (!this.#isFull) return;
    this.connection.socket.pause();
    this.#watch();
  }

  /** See `WireConnection`. */
  waits(): void {
    this.#waitingBytes = this.connection.socket.writableLength;
    this.rules.wheel.schedule(this, STALLED_MS);
  }

  socketDrained(): void {
    this.#wire?.drained();
  }

  /** As in node:http: a client that ends its side before its answer is complete counts as gone. */
  socketEnded(): void {
    if (this.#wire?.isEnded === true) this.#wire.isLast = true;
    else this.close();
  }

  socketFailed(): void {
    this.#leave();
  }

  socketClosed(): void {
    this.#leave();
    this.#wire?.closed();
  }

  override onDeadline(): void {
    if (this.#wire === undefined) return this.close();
    if (!this.#wire.isEnded) {
      if (!this.#isFull) return;
      return this.connection.socket.isReset ? this.close() : this.#watch();
    }
    if (this.connection.socket.writableLength < this.#waitingBytes) this.waits();
    else this.close();
  }

  /** Closes it if it waits for another request, and none of that has come. */
  closeIdle(): void {
    if (this.#hasServed && this.#wire === undefined && !this.#hasBegun && this.#held.length === 0)
      this.close();
  }

  close(): void {
    this.#leave();
    this.connection.socket.destroy();
  }

  /** Stops timing and holding; the connection is someone else's, or over. */
  #leave(): void {
    this.#held = NOTHING;
    this.rules.wheel.schedule(this, Number.POSITIVE_INFINITY);
    this.rules.gone(this);
  }
}

const NOTHING = Buffer.alloc(0);

/** Methods that node:http knows, but CONNECT. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS.filter((method) => method !== 'CONNECT'));

/** Whether the request is its head alone and can be answered without node:http. */
function isBodiless({ method, headers, isOld }: ReadHead): boolean {
  return (
    !isOld &&
    KNOWN_METHODS.has(method) &&
    !hasBody(headers) &&
    !headers.has('upgrade') &&
    !headers.has('expect')
  );
}

/** Whether a request asks for a WebSocket, in a valid handshake or not. */
export function asksForWebSocket(headers: HeaderLines): boolean {
  return (
    hasToken(headers.get('upgrade'), 'websocket') ||
    headers.has('sec-websocket-key') ||
    headers.has('sec-websocket-version')
  );
}
