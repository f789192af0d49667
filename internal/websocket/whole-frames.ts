import { FIN, MASK, Opcode } from './frame.js';

const WHOLE_BINARY = FIN | Opcode.BINARY;
const WHOLE_TEXT = FIN | Opcode.TEXT;
const KEY_BYTES = 4;

/**
 * What nearly all reads hold and nothing else: messages in one frame each, one behind the other.
 * Looked at all at once they cost a part of what they do one by one. Whatever is special about a
 * frame, or wrong, is not for here.
 */
export class WholeFrames {
  messages = 0;
  /** Of all payloads, and of the largest. */
  payloadBytes = 0;
  largestBytes = 0;
  hasText: boolean = false;

  /** @returns where they end: `from` when there is none. */
  scan(bytes: Buffer, from: number, end: number, masked: boolean): number {
    const keyBytes = masked ? KEY_BYTES : 0;
    const maskBit = masked ? MASK : 0;
    let messages = 0;
    let payloadBytes = 0;
    let largestBytes = 0;
    let hasText = false;
    let at = from;
    while (at + 4 <= end) {
      const first = bytes[at] ?? 0;
      const second = bytes[at + 1] ?? 0;
      if ((first !== WHOLE_BINARY && first !== WHOLE_TEXT) || (second & MASK) !== maskBit) break;
      let length = second & ~MASK;
      let header = 2 + keyBytes;
      if (length === 126) {
        length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
        header += 2;
        if (length < 126) break;
      } else if (length === 127) break;
      if (at + header + length > end) break;
      at += header + length;
      messages++;
      payloadBytes += length;
      if (length > largestBytes) largestBytes = length;
      if (first === WHOLE_TEXT) hasText = true;
    }
    this.messages = messages;
    this.payloadBytes = payloadBytes;
    this.largestBytes = largestBytes;
    this.hasText = hasText;
    return at;
  }
}
