/** What a session may do with its client's WebSocket. `gateway/listener.ts` implements it on uWebSockets.js. */
export interface ClientSocket {
  /**
   * Sends a whole message. The bytes are taken or copied before it returns.
   * @returns false when the message was lost (uWebSockets.js' own backpressure limit): fatal for the session.
   */
  send(payload: Uint8Array, isBinary: boolean): boolean;
  /** Sends a piece of a fragmented message, in order; same result as `send`. */
  sendFragment(payload: Uint8Array, isBinary: boolean, position: 'first' | 'middle' | 'last'): boolean;
  /** Payload bytes accepted but not yet taken by the kernel. */
  bufferedBytes(): number;
  /** Runs `work` so that all it sends leaves in one system call. */
  cork(work: () => void): void;
  ping(): void;
  /** Starts the closing handshake; code 1005: a close frame without a code. Nothing can be sent after it. */
  end(code: number, reason: string): void;
  /** Drops the connection without a close frame. */
  terminate(): void;
}
