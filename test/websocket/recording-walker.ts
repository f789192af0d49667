import type { CloseReasonKey } from '../../internal/close-codes.js';
import { MaskingKeys } from '../../internal/websocket/frame.js';
import { FrameWalker } from '../../internal/websocket/frame-walker.js';
import type { WholeFrames } from '../../internal/websocket/whole-frames.js';

/** Writes down what it walks over. */
export class Recorder extends FrameWalker {
  readonly events: string[] = [];
  readonly passed: Buffer[] = [];
  readonly inspected: Buffer[] = [];
  limitBytes = Number.POSITIVE_INFINITY;
  refuseAt: number | undefined;
  readonly midFrames: boolean[] = [];
  #gathered: Buffer[] = [];

  constructor(masked: boolean, mode: 'messages' | 'pass' = 'pass') {
    super(masked, mode);
  }

  let(): void {
    this.pass();
  }

  watch(): void {
    this.inspects = true;
  }

  remask(): void {
    this.remasks = new MaskingKeys();
  }

  protected judgeWhole({ largestBytes }: WholeFrames): boolean {
    return largestBytes <= this.limitBytes;
  }

  protected judge(_first: number, _length: number, messageBytes: number): CloseReasonKey | undefined {
    return messageBytes > this.limitBytes ? 'messageTooBig' : undefined;
  }

  protected inspect(bytes: Buffer, from: number, to: number, key: number, phase: number) {
    const mask = Buffer.alloc(4);
    mask.writeUInt32BE(key);
    const piece = Buffer.from(bytes.subarray(from, to).map((byte, at) => byte ^ mask[(phase + at) & 3]!));
    this.inspected.push(piece);
    return this.refuseAt !== undefined && piece.includes(this.refuseAt) ? 'rateLimited' : undefined;
  }

  protected onRefused(reason: CloseReasonKey): void {
    this.events.push(`refused ${reason}`);
  }

  protected onFrames(bytes: Buffer, from: number, to: number): void {
    this.passed.push(Buffer.from(bytes.subarray(from, to)));
    this.midFrames.push(this.midFrame);
  }

  protected onFinished(): void {
    this.events.push('finished');
  }

  protected onPiece(bytes: Buffer, from: number, to: number, isBinary: boolean, last: boolean): void {
    this.#gathered.push(Buffer.from(bytes.subarray(from, to)));
    if (!last) return;
    this.events.push(`${isBinary ? 'binary' : 'text'} ${Buffer.concat(this.#gathered).toString('latin1')}`);
    this.#gathered = [];
  }

  protected onPing(payload: Buffer): void {
    this.events.push(`ping ${payload.toString('latin1')}`);
  }

  protected onPong(): void {
    this.events.push('pong');
  }

  protected onClose(code: number, reason: string): void {
    this.events.push(`close ${code} ${reason}`);
  }

  protected onViolation(code: number, why: string): void {
    this.events.push(`violation ${code} ${why}`);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.passed);
  }
}

/**
 * Walks over pieces as reads bring them: in one buffer that is used again, so that a view
 * kept too long is noticed.
 */
export function walkIn(walker: Recorder, bytes: Buffer, cuts: readonly number[]): void {
  const shared = Buffer.alloc(70_000);
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    for (let at = from; at < cut; at += 65_536) {
      const end = Math.min(cut, at + 65_536);
      shared.fill(0xee);
      bytes.copy(shared, 0, at, end);
      walker.walk(shared, end - at);
    }
    from = Math.max(from, cut);
  }
}
