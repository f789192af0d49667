import type { GatewayError } from '../../errors.js';
import type { FragmentPosition } from '../../websocket/frame-decoder.js';

/**
 * Hears an upstream connection once it is open. Every payload is a view of the shared read buffer: valid
 * during the call only. After `onUpstreamClose` or `onUpstreamLost` nothing more is called, and exactly one
 * of the two is, unless the owner called `destroy` first.
 */
export interface UpstreamListener {
  /** A whole, unfragmented message. */
  onUpstreamMessage(payload: Buffer, isBinary: boolean): void;
  /** A piece of a message that came fragmented or is longer than one read. Pieces may be empty. */
  onUpstreamFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void;
  /** More than one frame came in one read: run `work` (which calls the two above) under one cork. */
  onUpstreamBatch(work: () => void): void;
  /** Everything written has left the process. */
  onUpstreamDrain(): void;
  /**
   * The upstream sent a close frame (1005: without a code). The connection answers it and closes by itself.
   */
  onUpstreamClose(code: number, reason: string): void;
  /**
   * The connection is gone without a close frame, or the upstream broke RFC 6455 (then it
   * has been told 1002 or 1007).
   */
  onUpstreamLost(cause: GatewayError): void;
}
