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
  /** With the kernel. */
  SENT: 1,
  /** Dropped by the socket's own limit: fatal for the session, a stream with a hole is corrupt. */
  LOST: 2,
});

/** Who takes a client's frames as they came. Bytes are valid during the call only. */
export interface ClientFrameSink {
  /** Whether all of these may pass: then they are paid for. If not, each is judged by itself. */
  judgeClientMessages(run: WholeFrames): boolean;
  /**
   * Whether a data frame may pass, by its header.
   * @param messageBytes of its message, this frame included.
   */
  judgeClientFrame(first: number, length: number, messageBytes: number): CloseReasonKey | undefined;
  /** Likewise by a piece of its payload; asked only if the sink wants to be. */
  readonly inspectClientPayload: PayloadJudge;
  /** Frames, and pieces of frames, headers and all. */
  clientFrames(frames: Buffer): void;
  /** The frame after which nothing passes any more has passed. */
  clientFramesFinished(): void;
  /** All that waited for the client has left the process. */
  clientDrained(): void;
}

export interface PassingOptions {
  /** Whether payloads are inspected. */
  readonly inspects: boolean;
  /** What masking keys are changed with (UPSTREAM_MASKING=random); undefined: they pass. */
  readonly keys: MaskingKeys | undefined;
}

/** A client's connection as frames: they can pass through it untouched, and reading can stop. */
export interface ClientFrames extends FrameSource {
  /** Set by every read; whoever watches for silence takes it back. */
  heard: boolean;
  /** Messages that have passed, and bytes of their payload. */
  readonly messages: number;
  readonly payloadBytes: number;
  /** Bytes that have left the process. */
  readonly takenBytes: number;
  /**
   * From the next message on the client's frames go to `sink` as they come, and those of `source` to the
   * client: what the gateway itself has to say waits for the end of a frame.
   */
  passTo(sink: ClientFrameSink, source: FrameSource, options: PassingOptions): void;
  /** Passes frames on to the client. @returns whether the kernel took all of them. */
  write(frames: Buffer): boolean;
  /** Whether something waits for the end of a frame of `source`. */
  readonly hasDue: boolean;
  /** `source` has come to the end of a frame: what has waited for it goes out. */
  atBoundary(): void;
  /** Stops reading; what has been read is still handed over. */
  pause(): void;
  resume(): void;
  /** No more of the client's frames pass after the one that is under way. */
  finish(): void;
}

/** Who hears a client's WebSocket: its session. */
export interface ClientListener {
  /** A message of the client; `payload` is valid during the call only. */
  onClientMessage(payload: Uint8Array, isBinary: boolean): void;
  /** Why a message may not become as long as `bytes`; undefined: it may. Asked before it is gathered. */
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
  /** undefined: messages only. */
  readonly frames: ClientFrames | undefined;
  /** Sends a whole message. The bytes are taken or copied before it returns one of `SendResult`. */
  send(payload: Uint8Array, isBinary: boolean): number;
  /** Sends a piece of a fragmented message, in order; results as `send`. */
  sendFragment(payload: Uint8Array, isBinary: boolean, position: FragmentPosition): number;
  /** Bytes accepted but not yet taken by the kernel. */
  bufferedBytes(): number;
  /** What they cost the process: a write that waits takes memory beside its bytes. */
  waitingCost(): number;
  /** Runs `work` so that all it sends leaves in one system call. */
  cork(work: () => void): void;
  ping(): void;
  /**
   * Starts or answers the closing handshake; code 1005 sends a close frame without a code. Nothing can be
   * sent after it, and what is still buffered may be lost: callers wait for `bufferedBytes()` to be 0 first.
   * In the middle of a frame it waits for its end, or drops the connection where that will not come.
   * @param before a message that leaves in one write with the close frame: a client that hangs up on what it
   *   says has the code, too.
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
