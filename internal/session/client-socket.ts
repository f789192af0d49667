import type { CloseCode, CloseReasonKey } from '../close-codes.js';
import type { MaskingKeys } from '../websocket/frame.js';
import type { FragmentPosition } from '../websocket/frame-decoder.js';
import type { FrameSource } from '../websocket/frame-source.js';
import type { PayloadJudge } from '../websocket/frame-verdicts.js';
import type { WholeFrames } from '../websocket/whole-frames.js';

/** What became of a message handed to a `ClientSocket`. */
export const SendResult = Object.freeze({
  /** Accepted, but the kernel's buffer is full: the rest waits in the process. */
  BUFFERED: 0,
  /** Handed to the kernel. */
  SENT: 1,
  /** Dropped by the socket's own limit: fatal for the session, a stream with a hole is corrupt. */
  LOST: 2,
});

/** Takes a client's frames as they come. Bytes are valid during the call only. */
export interface ClientFrameSink {
  /**
   * Whether all of these messages may pass; if so, the rate limit has counted them. If not, each frame is
   * judged by itself.
   */
  judgeClientMessages(run: WholeFrames): boolean;
  /**
   * Why a data frame may not pass, by its header; undefined: it may.
   * @param messageBytes of its message, this frame included.
   */
  judgeClientFrame(first: number, length: number, messageBytes: number): CloseReasonKey | undefined;
  /** Likewise by a piece of its payload; called only with `PassingOptions.inspects`. */
  readonly inspectClientPayload: PayloadJudge;
  /** Whole frames and pieces of frames, their headers included. */
  clientFrames(frames: Buffer): void;
  /** After `ClientFrames.finish`: the last frame has passed. */
  clientFramesFinished(): void;
  /** All that waited for the client has left the process. */
  clientDrained(): void;
}

export interface PassingOptions {
  /** Whether payloads are inspected. */
  readonly inspects: boolean;
  /** Source of new masking keys (UPSTREAM_MASKING=random); undefined: the client's are kept. */
  readonly keys: MaskingKeys | undefined;
}

/**
 * A client's connection at the level of frames: they can pass through untouched, and reading can be paused.
 */
export interface ClientFrames extends FrameSource {
  /** Set by every read; the idle check resets it. */
  heard: boolean;
  /** Messages that have passed, and bytes of their payload. */
  readonly messages: number;
  readonly payloadBytes: number;
  /** Bytes that have left the process. */
  readonly takenBytes: number;
  /**
   * From the next message on the client's frames go to `sink` as they come, and those of `source` to the
   * client; the gateway's own frames wait for the end of a frame.
   */
  passTo(sink: ClientFrameSink, source: FrameSource, options: PassingOptions): void;
  /** Passes frames on to the client. @returns whether the kernel took all of them. */
  write(frames: Buffer): boolean;
  /** Whether something waits for the end of a frame of `source`. */
  readonly hasDue: boolean;
  /** `source` has come to the end of a frame: sends what has waited for it. */
  atBoundary(): void;
  /** Stops reading; what has been read is still handed over. */
  pause(): void;
  resume(): void;
  /** After the frame that is under way, no more of the client's frames pass. */
  finish(): void;
}

/** Hears the events of a client's WebSocket: its session. */
export interface ClientListener {
  /** A message of the client; `payload` is valid during the call only. */
  onClientMessage(payload: Uint8Array, isBinary: boolean): void;
  /** Why a message of `bytes` may not come; undefined: it may. Asked before that much of it is buffered. */
  messageRefusal(bytes: number): CloseReasonKey | undefined;
  /** A ping or pong of the client. */
  onClientAlive(): void;
  /** The kernel took some of what waited for the client. */
  onClientDrain(): void;
  /** The client's connection is gone; code 1006 stands for no close frame (RFC 6455 §7.1.5). */
  onClientClosed(code: number, reason: string): void;
  close(reason: CloseReasonKey, passed?: CloseCode, cause?: Error): void;
}

/** A message that goes out with the close frame. */
export interface FinalMessage {
  readonly payload: Uint8Array;
  readonly isBinary: boolean;
}

/** What a session may do with its client's WebSocket; a listener's own class implements it. */
export interface ClientSocket {
  /** undefined: this socket knows whole messages only. */
  readonly frames: ClientFrames | undefined;
  /** Sends a whole message. The bytes are taken or copied before it returns one of `SendResult`. */
  send(payload: Uint8Array, isBinary: boolean): number;
  /** Sends a piece of a fragmented message, in order; results as `send`. */
  sendFragment(payload: Uint8Array, isBinary: boolean, position: FragmentPosition): number;
  /** Bytes accepted but not yet taken by the kernel. */
  bufferedBytes(): number;
  /** The memory that they take: each waiting write costs some beside its bytes. */
  waitingCost(): number;
  /** Runs `work` so that all it sends leaves in one system call. */
  cork(work: () => void): void;
  ping(): void;
  /**
   * Starts or answers the closing handshake; code 1005 sends a close frame without a code. Nothing can be
   * sent after it, and what is still buffered may be lost: callers wait for `bufferedBytes()` to be 0 first.
   * In the middle of a frame that passes it waits for the frame's end, or drops the connection if that will
   * not come.
   * @param before a message sent in one write with the close frame, so that a client which hangs up at the
   *   message has received the code too.
   */
  end(code: number, reason: string, before?: FinalMessage): void;
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
  /** Answers 503 instead, and ends the connection; does nothing when the client went away in the meantime. */
  turnAway(retryAfterSeconds: number): void;
}
