import { randomFillSync } from 'node:crypto';
import { cutReason, isValidOnWire } from '../../close-codes.js';

/** RFC 6455 §5.2. */
export const Opcode = Object.freeze({
  CONTINUATION: 0x0,
  TEXT: 0x1,
  BINARY: 0x2,
  CLOSE: 0x8,
  PING: 0x9,
  PONG: 0xa,
});

/** FIN and the opcode share the first byte, MASK and the short length the second (RFC 6455 §5.2). */
export const FIN = 0x80;
export const RSV = 0x70;
export const OPCODE = 0x0f;
export const MASK = 0x80;
/** Largest payload of a control frame (RFC 6455 §5.5). */
export const MAX_CONTROL_BYTES = 125;

const KEY_BYTES = 4;
const POOLED_KEYS = 1024;

/** Masking keys no one can predict (RFC 6455 §5.3), drawn from the system a thousand at a time. */
export class MaskingKeys {
  readonly #pool = Buffer.allocUnsafeSlow(POOLED_KEYS * KEY_BYTES);
  #at = this.#pool.length;

  /** Writes the next key at `at` of `target`. */
  write(target: Buffer, at: number): void {
    if (this.#at === this.#pool.length) {
      randomFillSync(this.#pool);
      this.#at = 0;
    }
    this.#pool.copy(target, at, this.#at, this.#at + KEY_BYTES);
    this.#at += KEY_BYTES;
  }
}

/** Bytes of a whole client frame: header, masking key and payload. */
export function clientFrameBytes(payloadBytes: number): number {
  if (payloadBytes < 126) return 2 + KEY_BYTES + payloadBytes;
  if (payloadBytes < 65_536) return 4 + KEY_BYTES + payloadBytes;
  return 10 + KEY_BYTES + payloadBytes;
}

/**
 * Writes one unfragmented client frame (RFC 6455 §5.2) at `at` of `target`, which has room for it.
 * @param keys undefined: the masking key is zero and the payload goes out as it is.
 * @returns where the frame ends.
 */
export function writeClientFrame(
  target: Buffer,
  at: number,
  opcode: number,
  payload: Uint8Array,
  keys: MaskingKeys | undefined,
): number {
  const length = payload.length;
  target[at++] = FIN | opcode;
  if (length < 126) {
    target[at++] = MASK | length;
  } else if (length < 65_536) {
    target[at++] = MASK | 126;
    target[at++] = length >>> 8;
    target[at++] = length;
  } else {
    target[at] = MASK | 127;
    target.writeUInt32BE(Math.floor(length / 2 ** 32), at + 1);
    target.writeUInt32BE(length >>> 0, at + 5);
    at += 9;
  }
  const keyAt = at;
  target[at++] = 0;
  target[at++] = 0;
  target[at++] = 0;
  target[at++] = 0;
  target.set(payload, at);
  if (keys !== undefined) {
    keys.write(target, keyAt);
    mask(target, keyAt, at, at + length);
  }
  return at + length;
}

/** XORs `target` between `from` and `to` with the four bytes at `keyAt` (RFC 6455 §5.3). */
function mask(target: Buffer, keyAt: number, from: number, to: number): void {
  let at = from;
  // Single bytes up to a four-byte boundary of the memory, whole words from there, single bytes at the end.
  for (; at < to && ((target.byteOffset + at) & 3) !== 0; at++) maskByte(target, keyAt, from, at);
  const words = (to - at) >>> 2;
  if (words > 0) {
    const key = Buffer.alloc(KEY_BYTES);
    for (let index = 0; index < KEY_BYTES; index++)
      key[index] = target[keyAt + ((at - from + index) & 3)] ?? 0;
    const word = new Uint32Array(key.buffer, key.byteOffset, 1)[0] ?? 0;
    const view = new Uint32Array(target.buffer, target.byteOffset + at, words);
    for (let index = 0; index < words; index++) view[index] = (view[index] ?? 0) ^ word;
    at += words * 4;
  }
  for (; at < to; at++) maskByte(target, keyAt, from, at);
}

function maskByte(target: Buffer, keyAt: number, from: number, at: number): void {
  target[at] = (target[at] ?? 0) ^ (target[keyAt + ((at - from) & 3)] ?? 0);
}

const NOTHING = Buffer.alloc(0);

/**
 * The payload of a close frame; empty for codes that may not stand in one, 1005 and 1006 among them (RFC 6455 §7.4.1).
 * @param reason cut to 123 bytes of UTF-8.
 */
export function closePayload(code: number, reason: string): Buffer {
  if (!isValidOnWire(code)) return NOTHING;
  const text = Buffer.from(cutReason(reason), 'utf8');
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2);
  return payload;
}
