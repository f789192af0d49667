import { MASK, OPCODE, Opcode } from './frame.js';
import { headerBytes } from './frame-rules.js';

/** A header with its masking key and the payload of a control frame behind it. */
const MAX_BYTES = 14 + 125;

/** The beginning of a header, or of a control frame, whose rest is in the next read. */
export class CutFrame {
  readonly bytes = Buffer.allocUnsafeSlow(MAX_BYTES);
  /** How much of it is there. */
  length: number;

  /** It lies in `read` from `at` to before `end`. */
  constructor(read: Buffer, at: number, end: number) {
    this.length = read.copy(this.bytes, 0, at, end);
  }

  add(byte: number): void {
    this.bytes[this.length++] = byte;
  }

  /**
   * How much has to be there before it can be walked over, as far as that is known: a header, of
   * a control frame all of it.
   */
  get needed(): number {
    const header = headerBytes(this.bytes, 0, this.length);
    const isControl = ((this.bytes[0] ?? 0) & OPCODE) >= Opcode.CLOSE;
    return isControl && this.length >= 2 ? header + ((this.bytes[1] ?? 0) & ~MASK) : header;
  }
}
