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
/** What may come behind a request before it is answered, in bytes: then the rest waits with the kernel. */
const MAX_HELD_BYTES = 16_384;

/** What becomes of the requests of a connection. */
export interface RequestRules {
  readonly wheel: TimerWheel;
  readonly readBuffer: Pick<ReusedBuffer, 'view'>;
  /** Whether connections that have been served are closed, unless more has come. */
  readonly draining: boolean;
  /** @param early what came behind the head; it may be lent. */
  handshake(connection: Connection, head: ReadHead, early: Buffer): void;
  /**
   * @returns whether it is an exchange that is answered on that wire; if not, the wire has not been touched.
   */
  exchange(wire: ClientWire, connection: Connection, head: ReadHead): boolean;
  /** Any other request. @param received the head and what came behind it; it may be lent. */
  http(connection: Connection, head: ReadHead, received: Buffer): void;
  refuse(connection: Connection, status: 400 | 431): void;
  /** It is for others to hear what comes on the connection, or that has ended. */
  gone(connection: RequestConnection): void;
}

/**
 * A connection on which requests come, one after the other: exchanges without a body, until something else is
 * asked for, which somebody else serves from there on.
 */
export class RequestConnection extends Timed implements SocketOwner, WireConnection, DenseSetMember {
  denseIndex = -1;
  readonly #reader = new HeadReader();
  /** The answer that is under way; undefined: it waits for a request. */
  #wire: BodilessWire | undefined;
  /** What came behind the request that is being answered. */
  #held: Buffer = NOTHING;
  #hasServed: boolean = false;
  /** Whether a part of a head has come. */
  #hasBegun: boolean = false;
  /** Bytes of an answer that waited for the client when its time began. */
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
    // Reading goes on while an answer is under way: else nobody would know that the client has gone.
    if (this.#wire !== undefined || this.#held.length > 0) this.#held = Buffer.concat([this.#held, bytes]);
    else this.#read(bytes);
    if (!this.#isFull) return true;
    this.#watch();
    return false;
  }

  /** Nothing more is read until there is an answer: whether the client is still there has to be asked. */
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
    return rules.http(connection, verdict, received);
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
    // Before anything is done with the request: that may be all of it, and it may read something else.
    if (received.length > head.length) this.#held = Buffer.from(received.subarray(head.length));
    if (rules.exchange(wire, connection, head)) return true;
    this.#wire = undefined;
    this.#held = NOTHING;
    return false;
  }

  /** All of an answer has left. */
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
    // Whoever takes the connection over from here finds it reading.
    this.connection.socket.resume();
    this.#read(held);
    if (!this.#isFull) return;
    this.connection.socket.pause();
    this.#watch();
  }

  /** An answer is whole, and waits for the client to take it. */
  waits(): void {
    this.#waitingBytes = this.connection.socket.writableLength;
    this.rules.wheel.schedule(this, STALLED_MS);
  }

  socketDrained(): void {
    this.#wire?.drained();
  }

  /** As node:http has it: whoever ends its side before it has its answer has gone. */
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

  /** Nothing more is read here. */
  #leave(): void {
    this.#held = NOTHING;
    this.rules.wheel.schedule(this, Number.POSITIVE_INFINITY);
    this.rules.gone(this);
  }
}

const NOTHING = Buffer.alloc(0);

/** Methods that node:http knows; a tunnel is another matter. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS.filter((method) => method !== 'CONNECT'));

/** Whether all of the request is in its head. */
function isBodiless({ method, headers, isOld }: ReadHead): boolean {
  return (
    !isOld &&
    KNOWN_METHODS.has(method) &&
    !hasBody(headers) &&
    !headers.has('upgrade') &&
    !headers.has('expect')
  );
}

/** Whether it is a request for a WebSocket, good or bad. */
export function asksForWebSocket(headers: HeaderLines): boolean {
  return (
    hasToken(headers.get('upgrade'), 'websocket') ||
    headers.has('sec-websocket-key') ||
    headers.has('sec-websocket-version')
  );
}
