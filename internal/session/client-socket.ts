import type { FragmentPosition } from '../upstream/websocket/message-listener.js';

/** What became of a message handed to a `ClientSocket`. */
export const SendResult = Object.freeze({
  /** Accepted, but the kernel's buffer is full: the rest waits in the process. */
  BUFFERED: 0,
  /** With the kernel. */
  SENT: 1,
  /** Dropped by the socket's own limit: fatal for the session, a stream with a hole is corrupt. */
  LOST: 2,
});

/** What a session may do with its client's WebSocket. `gateway/client-socket.ts` implements it on uWebSockets.js. */
export interface ClientSocket {
  /** Sends a whole message. The bytes are taken or copied before it returns one of `SendResult`. */
  send(payload: Uint8Array, isBinary: boolean): number;
  /** Sends a piece of a fragmented message, in order; results as `send`. */
  sendFragment(payload: Uint8Array, isBinary: boolean, position: FragmentPosition): number;
  /** Bytes accepted but not yet taken by the kernel. */
  bufferedBytes(): number;
  /** Runs `work` so that all it sends leaves in one system call. */
  cork(work: () => void): void;
  ping(): void;
  /**
   * Starts the closing handshake; code 1005 sends a close frame without a code. Nothing can be sent after it, and what
   * is still buffered is lost: callers wait for `bufferedBytes()` to be 0 first.
   */
  end(code: number, reason: string): void;
  /** Drops the connection without a close frame. */
  terminate(): void;
}

/** A client that has asked for a WebSocket and has no answer yet. */
export interface ClientHandshake {
  /** The sub-protocols the client offers, in order. */
  readonly offered: readonly string[];
  /**
   * Answers 101, selecting `subprotocol` if there is one.
   * @returns undefined when the client went away in the meantime.
   */
  accept(subprotocol: string | undefined): ClientSocket | undefined;
}
