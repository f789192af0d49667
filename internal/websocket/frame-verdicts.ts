import type { CloseReasonKey } from '../close-codes.js';
import type { WholeFrames } from './whole-frames.js';

/**
 * Why a data frame may not pass, by a piece of its payload; undefined: it may.
 * @param key masking key, first byte most significant. @param phase which byte of it is the first piece's.
 */
export type PayloadJudge = (
  bytes: Buffer,
  from: number,
  to: number,
  key: number,
  phase: number,
) => CloseReasonKey | undefined;

/** Who decides what becomes of the frames that a `FrameWalker` meets, and hears of them. */
export abstract class FrameVerdicts {
  /**
   * Whether all of these may pass, each a whole message in one frame: then they are accounted for. If not,
   * nothing is, and each is judged by itself.
   */
  protected abstract judgeWhole(run: WholeFrames): boolean;
  /**
   * Whether a data frame may pass, by its header.
   * @param messageBytes of its message, this frame included; to a fragment without a byte, empty
   *   ones count as one each.
   */
  protected abstract judge(first: number, length: number, messageBytes: number): CloseReasonKey | undefined;
  /** Likewise by its payload; called for each piece of it if `inspects`. */
  protected abstract inspect(...piece: Parameters<PayloadJudge>): CloseReasonKey | undefined;
  /** Nothing is read any more. */
  protected abstract onRefused(reason: CloseReasonKey): void;
  /** Frames, and pieces of frames, as they came. */
  protected abstract onFrames(bytes: Buffer, from: number, to: number): void;
  /** The frame that was to `finish` has passed. */
  protected abstract onFinished(): void;
  /** Before `pass`: a piece of a message, unmasked. @param last whether it ends it. */
  protected abstract onPiece(bytes: Buffer, from: number, to: number, isBinary: boolean, last: boolean): void;
  protected abstract onPing(payload: Buffer): void;
  protected abstract onPong(): void;
  /** Nothing is read any more. @param code 1005 when the frame has none (RFC 6455 §7.1.5). */
  protected abstract onClose(code: number, reason: string): void;
  /** Nothing is read any more. @param code 1002, or 1007 for a close reason that is not UTF-8. */
  protected abstract onViolation(code: 1002 | 1007, why: string): void;
}
