import type { CloseReasonKey } from '../../close-codes.js';
import { FrameWalker } from '../../websocket/frame-walker.js';
import type { WholeFrames } from '../../websocket/whole-frames.js';
import type { UpstreamListener } from './message-listener.js';

/** Who takes an upstream's frames as they came. Bytes are valid during the call only. */
export interface UpstreamFrameListener
  extends Pick<UpstreamListener, 'onUpstreamDrain' | 'onUpstreamClose' | 'onUpstreamLost'> {
  /** Whether all of these may pass; if not, each is judged by itself. */
  judgeUpstreamMessages(run: WholeFrames): boolean;
  /** Whether a data frame may pass, by the first byte of its header. */
  judgeUpstreamFrame(first: number): CloseReasonKey | undefined;
  /** One may not: nothing more is read. */
  upstreamRefused(reason: CloseReasonKey): void;
  /** Frames, and pieces of frames, headers and all. */
  upstreamFrames(frames: Buffer): void;
  /** The frame after which nothing passes any more has passed. */
  upstreamFramesFinished(): void;
}

/** What stays with the connection. */
export interface ControlFrames {
  onPing(payload: Buffer): void;
  /** @param code 1005 when the frame has none (RFC 6455 §7.1.5). */
  onClose(code: number, reason: string): void;
  /** @param code 1002, or 1007 for text that is not UTF-8. */
  onViolation(code: number, why: string): void;
  onFinished(): void;
  /** A view of what was read. */
  slice(bytes: Buffer, from: number, to: number): Buffer;
}

/** The frames of an upstream that pass as they came. */
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
