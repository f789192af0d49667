import type { WebSocket } from 'uWebSockets.js';
import { type ClientSocket, type FinalMessage, SendResult } from '../../session/client-socket.js';
import type { Session } from '../../session/session.js';
import { cutReason } from '../../websocket/close-frame.js';
import type { FragmentPosition } from '../../websocket/frame-decoder.js';

/** What uWebSockets.js keeps for each of its sockets. */
export interface SocketData {
  readonly session: Session;
  readonly socket: UwsClientSocket;
}

/** RFC 6455 §7.4.1: stands for a close frame without a code, never sent as one. */
const NO_STATUS = 1005;

/**
 * A client's WebSocket on uWebSockets.js. Its native socket throws when it is touched after its close handler
 * ran, and every upstream event races that handler: after `detach` everything here does nothing.
 */
export class UwsClientSocket implements ClientSocket {
  #ws: WebSocket<SocketData> | undefined;
  readonly #compress: boolean;
  #closed: boolean = false;

  constructor(compress: boolean) {
    this.#compress = compress;
  }

  get frames(): undefined {
    return undefined;
  }

  /** Whether there is a connection: from the upgrade to the close handler. */
  get attached(): boolean {
    return this.#ws !== undefined;
  }

  /** Called when the upgrade is done; does nothing if the close handler has run already. */
  attach(ws: WebSocket<SocketData>): void {
    if (!this.#closed) this.#ws = ws;
  }

  /** Called first in the close handler. */
  detach(): void {
    this.#closed = true;
    this.#ws = undefined;
  }

  send(payload: Uint8Array, isBinary: boolean): number {
    return this.#ws === undefined ? SendResult.SENT : this.#ws.send(payload, isBinary, this.#compress);
  }

  sendFragment(payload: Uint8Array, isBinary: boolean, position: FragmentPosition): number {
    if (this.#ws === undefined) return SendResult.SENT;
    switch (position) {
      case 'first':
        return this.#ws.sendFirstFragment(payload, isBinary, false);
      case 'middle':
        return this.#ws.sendFragment(payload, false);
      case 'last':
        return this.#ws.sendLastFragment(payload, false);
    }
  }

  bufferedBytes(): number {
    return this.#ws === undefined ? 0 : this.#ws.getBufferedAmount();
  }

  waitingCost(): number {
    return this.bufferedBytes();
  }

  cork(work: () => void): void {
    if (this.#ws === undefined) work();
    else this.#ws.cork(work);
  }

  ping(): void {
    this.#ws?.ping();
  }

  end(code: number, reason: string, before?: FinalMessage): void {
    if (before === undefined) return this.#end(code, reason);
    this.cork(() => {
      this.send(before.payload, before.isBinary);
      this.#end(code, reason);
    });
  }

  #end(code: number, reason: string): void {
    if (code === NO_STATUS) this.#ws?.end();
    // Bytes: the library's build for Node 24 writes a string of Latin-1 characters as Latin-1
    // (RFC 6455 §5.5.1: UTF-8).
    else this.#ws?.end(code, Buffer.from(cutReason(reason), 'utf8'));
  }

  terminate(): void {
    this.#ws?.close();
  }
}
