import type { CloseReasonKey } from '../../close-codes.js';
import { FrameWalker } from '../../websocket/frame-walker.js';
import type { WholeFrames } from '../../websocket/whole-frames.js';
import type { UpstreamListener } from './message-listener.js';

/** Takes an upstream's frames as they come. Bytes are valid during the call only. */
export interface UpstreamFrameListener
  extends Pick<UpstreamListener, 'onUpstreamDrain' | 'onUpstreamClose' | 'onUpstreamLost'> {
  /** Whether all of these messages may pass; if not, each frame is judged by itself. */
  judgeUpstreamMessages(run: WholeFrames): boolean;
  /** Whether a data frame may pass, by the first byte of its header. */
  judgeUpstreamFrame(first: number): CloseReasonKey | undefined;
  /** A frame may not pass: nothing more is read. */
  upstreamRefused(reason: CloseReasonKey): void;
  /** Whole frames and pieces of frames, their headers included. */
  upstreamFrames(frames: Buffer): void;
  /** After `finish`: the last frame has passed. */
  upstreamFramesFinished(): void;
}

/** Events for the connection itself. */
export interface ControlFrames {
  onPing(payload: Buffer): void;
  /** @param code 1005 when the frame has none (RFC 6455 §7.1.5). */
  onClose(code: number, reason: string): void;
  /** @param code 1002, or 1007 for text that is not UTF-8. */
  onViolation(code: number, why: string): void;
  onFinished(): void;
  /** A view of the bytes that were read. */
  slice(bytes: Buffer, from: number, to: number): Buffer;
}

/** The frames of an upstream that pass as they come. */
export class UpstreamFrames extends FrameWalker {
  constructor(
    readonly control: ControlFrames,
    readonly listener: UpstreamFrameListener,
  ) {
    super(false, 'pass');
  }

  protected override judgeWhole(run: WholeFrames): boolean {
    return this.listener.judgeUpstreamMessages(run);
  }

  protected override judge(first: number): CloseReasonKey | undefined {
    return this.listener.judgeUpstreamFrame(first);
  }

  protected override inspect(): undefined {
    return undefined;
  }

  protected override onRefused(reason: CloseReasonKey): void {
    this.listener.upstreamRefused(reason);
  }

  protected override onFrames(bytes: Buffer, from: number, to: number): void {
    this.listener.upstreamFrames(this.control.slice(bytes, from, to));
  }

  protected override onFinished(): void {
    this.control.onFinished();
    this.listener.upstreamFramesFinished();
  }

  protected override onPiece(): void {}

  protected override onPing(payload: Buffer): void {
    this.control.onPing(payload);
  }

  protected override onPong(): void {}

  protected override onClose(code: number, reason: string): void {
    this.control.onClose(code, reason);
  }

  protected override onViolation(code: number, why: string): void {
    this.control.onViolation(code, why);
  }
}
