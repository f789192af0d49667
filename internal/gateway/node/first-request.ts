import { hasToken } from '../../request/grammar.js';
import type { HeaderLines } from '../../request/head.js';
import type { Enrolled } from '../../roll.js';
import { Timed, type TimerWheel } from '../../session/timer-wheel.js';
import type { ReusedBuffer } from '../../upstream/socket/reused-buffer.js';
import type { SocketOwner } from '../../upstream/socket/socket.js';
import type { Connection } from './connection.js';
import { HeadReader, type ReadHead } from './head-reader.js';

/** Time for the head of the first request, from accept; SPEC section 4. */
const HEAD_TIMEOUT_MS = 10_000;

/** What becomes of a connection once its first request is known. */
export interface FirstRequestRules {
  readonly wheel: TimerWheel;
  readonly readBuffer: Pick<ReusedBuffer, 'view'>;
  /** @param early what came behind the head; it may be lent. */
  handshake(connection: Connection, head: ReadHead, early: Buffer): void;
  /** @param received the head and what came behind it; it may be lent. */
  http(connection: Connection, head: ReadHead, received: Buffer): void;
  refuse(connection: Connection, status: 400 | 431): void;
  /** It has ended, by itself or because it took too long. */
  gone(request: FirstRequest): void;
}

/** A connection that has not said yet what it wants. */
export class FirstRequest extends Timed implements SocketOwner, Enrolled {
  rollPlace = -1;
  readonly #reader = new HeadReader();

  constructor(
    readonly connection: Connection,
    readonly rules: FirstRequestRules,
  ) {
    super();
    connection.socket.owner = this;
  }

  begin(): void {
    this.rules.wheel.schedule(this, HEAD_TIMEOUT_MS);
    this.connection.socket.resume();
  }

  socketRead(length: number): boolean {
    const { connection, rules } = this;
    const verdict = this.#reader.push(rules.readBuffer.view(0, length));
    if (verdict.kind === 'incomplete') return true;
    this.#leave();
    const { received } = this.#reader;
    if (verdict.kind === 'refused') rules.refuse(connection, verdict.status);
    else if (asksForWebSocket(verdict.headers))
      rules.handshake(connection, verdict, received.subarray(verdict.length));
    else rules.http(connection, verdict, received);
    return true;
  }

  socketEnded(): void {
    this.close();
  }

  socketFailed(): void {}

  socketClosed(): void {
    this.#leave();
  }

  override onDeadline(): void {
    this.close();
  }

  close(): void {
    this.#leave();
    this.connection.socket.destroy();
  }

  #leave(): void {
    this.rules.wheel.schedule(this, Number.POSITIVE_INFINITY);
    this.rules.gone(this);
  }
}

/** Whether it is a request for a WebSocket, good or bad. */
export function asksForWebSocket(headers: HeaderLines): boolean {
  return (
    hasToken(headers.get('upgrade'), 'websocket') ||
    headers.has('sec-websocket-key') ||
    headers.has('sec-websocket-version')
  );
}
