import { OPCODE, Opcode, xorBytes } from './frame.js';
import { readClose } from './frame-rules.js';
import { FrameVerdicts } from './frame-verdicts.js';

const KEY_BYTES = 4;

/** Takes control frames apart, which are hop by hop (RFC 6455 §5.5). */
export abstract class ControlFrameReader extends FrameVerdicts {
  /** @param masked whether the peer is a client. */
  constructor(protected readonly masked: boolean) {
    super();
  }

  /** Reads nothing any more. */
  abstract stop(): void;

  /** @param at where the header begins. @param from where the payload does, which ends before `to`. */
  protected readControl(bytes: Buffer, at: number, from: number, to: number): void {
    if (this.masked) xorBytes(bytes, from, to, bytes.readUInt32BE(from - KEY_BYTES), 0);
    const payload = bytes.subarray(from, to);
    switch ((bytes[at] ?? 0) & OPCODE) {
      case Opcode.PING:
        return this.onPing(payload);
      case Opcode.PONG:
        return this.onPong();
      default:
        return this.#close(payload);
    }
  }

  #close(payload: Buffer): void {
    // Nothing follows a close frame.
    this.stop();
    const close = readClose(payload);
    if (close.valid) this.onClose(close.code, close.reason);
    else this.onViolation(close.code, close.why);
  }
}
