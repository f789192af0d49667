import type { CloseCode } from '../../internal/close-codes.js';
import {
  type ClientHandshake,
  type ClientSocket,
  type FinalMessage,
  SendResult,
} from '../../internal/session/client-socket.js';
import type { Session } from '../../internal/session/session.js';
import type { FragmentPosition } from '../../internal/websocket/frame-decoder.js';

export interface Received {
  readonly text: string;
  readonly isBinary: boolean;
  readonly position?: FragmentPosition;
}

/**
 * A client with a socket of its own making: it behaves as uWebSockets.js does (a socket that is ended or
 * dropped tells its session, and is not to be touched afterwards), and can be slow, stubborn or gone.
 */
export class StandInClient implements ClientSocket, ClientHandshake {
  /** The sub-protocol of the 101; undefined: it has not come. */
  answered: { readonly subprotocol: string | undefined } | undefined;
  readonly received: Received[] = [];
  told: CloseCode | undefined;
  /** Seconds after which it may come again, if it was turned away. */
  turnedAway: number | undefined;
  dropped = false;
  pings = 0;
  /** What waits for the client. */
  buffered = 0;
  /** What comes of the next sends. */
  result: number = SendResult.SENT;
  /** Answers no close frame. */
  stubborn = false;
  session: Session | undefined;
  readonly frames = undefined;
  #gone = false;

  constructor(readonly offered: readonly string[]) {}

  accept(subprotocol: string | undefined): ClientSocket | undefined {
    if (this.#gone) return undefined;
    if (this.answered !== undefined) throw new Error('answered twice');
    this.answered = { subprotocol };
    return this;
  }

  turnAway(retryAfterSeconds: number): void {
    this.turnedAway = retryAfterSeconds;
    this.#gone = true;
  }

  send(payload: Uint8Array, isBinary: boolean): number {
    this.#check();
    this.received.push({ text: Buffer.from(payload).toString('latin1'), isBinary });
    return this.result;
  }

  sendFragment(payload: Uint8Array, isBinary: boolean, position: FragmentPosition): number {
    this.#check();
    this.received.push({ text: Buffer.from(payload).toString('latin1'), isBinary, position });
    return this.result;
  }

  bufferedBytes(): number {
    this.#check();
    return this.buffered;
  }

  waitingCost(): number {
    return this.buffered;
  }

  cork(work: () => void): void {
    this.#check();
    work();
  }

  ping(): void {
    this.#check();
    this.pings++;
  }

  end(code: number, reason: string, before?: FinalMessage): void {
    this.#check();
    if (before !== undefined) this.send(before.payload, before.isBinary);
    // As with uWebSockets.js, a second time does nothing.
    if (this.told !== undefined) return;
    this.told = { code, reason };
    if (!this.stubborn) setImmediate(() => this.leave(code, reason));
  }

  terminate(): void {
    this.#check();
    this.dropped = true;
    this.leave(1006, '');
  }

  /** The client says something. The bytes are lent, as they are in the gateway. */
  say(payload: string | Buffer, isBinary = typeof payload !== 'string'): void {
    const lent = new Uint8Array(Buffer.from(payload as Buffer));
    this.session?.onClientMessage(lent, isBinary);
    lent.fill(0xee);
  }

  /** The connection ends; 1006: without a close frame. */
  leave(code: number, reason = ''): void {
    if (this.#gone) return;
    this.#gone = true;
    this.session?.onClientClosed(code, reason);
  }

  /** All that came as text, in order. */
  get texts(): string[] {
    return this.received.map(({ text }) => text);
  }

  #check(): void {
    if (this.#gone) throw new Error('the socket was touched after it was closed');
  }
}
