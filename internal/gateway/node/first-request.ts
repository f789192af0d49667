import { hasToken } from '../../request/grammar.js';
import type { HeaderLines } from '../../request/head.js';
import { Timed, type TimerWheel } from '../../session/timer-wheel.js';
import type { Connection, FirstListener } from './connection.js';
import { HeadReader, type ReadHead } from './head-reader.js';

/** Time for the head of the first request, from accept; SPEC section 4. */
const HEAD_TIMEOUT_MS = 10_000;

/** What becomes of a connection once its first request is known. */
export interface FirstRequestRules {
  readonly wheel: TimerWheel;
  /** @param early what came behind the head; it may be lent. */
  handshake(connection: Connection, head: ReadHead, early: Buffer): void;
  /** @param received the head and what came behind it; it may be lent. */
  http(connection: Connection, head: ReadHead, received: Buffer): void;
  refuse(connection: Connection, status: 400 | 431): void;
  /** It has ended, by itself or because it took too long. */
  gone(request: FirstRequest): void;
}

/** A connection that has not said yet what it wants. */
export class FirstRequest extends Timed implements FirstListener {
  readonly #reader = new HeadReader();

  constructor(
    readonly connection: Connection,
    readonly rules: FirstRequestRules,
  ) {
    super();
  }

  begin(): void {
    this.rules.wheel.schedule(this, HEAD_TIMEOUT_MS);
    this.connection.listen(this);
  }

  firstBytes(chunk: Buffer): void {
    const verdict = this.#reader.push(chunk);
    if (verdict.kind === 'incomplete') return;
    const { connection, rules } = this;
    this.#leave();
    if (verdict.kind === 'refused') return rules.refuse(connection, verdict.status);
    const { received } = this.#reader;
    if (asksForWebSocket(verdict.headers))
      return rules.handshake(connection, verdict, received.subarray(verdict.length));
    return rules.http(connection, verdict, received);
  }

  firstEnded(): void {
    this.close();
  }

  override onDeadline(): void {
    this.close();
  }

  close(): void {
    this.#leave();
    this.connection.destroy();
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
