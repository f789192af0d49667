import { randomFillSync } from 'node:crypto';
import { cutReason, isValidOnWire } from './close-frame.js';

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

  /** XORs the key at `at` of `target` with the next one, which it returns: never 0, which changes nothing. */
  change(target: Buffer, at: number): number {
    let key = 0;
    while (key === 0) {
      if (this.#at === this.#pool.length) {
        randomFillSync(this.#pool);
        this.#at = 0;
      }
      key = this.#pool.readUInt32BE(this.#at);
      this.#at += KEY_BYTES;
    }
    xorBytes(target, at, at + KEY_BYTES, key, 0);
    return key;
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
  if (keys !== undefined) xorBytes(target, at, at + length, keys.change(target, keyAt), 0);
  return at + length;
}

/** From this many bytes on whole words are worth the view that they take. */
const WORDWISE_BYTES = 32;

/**
 * XORs `target` between `from` and `to` with a masking key (RFC 6455 §5.3).
 * @param key its four bytes, the first one the most significant.
 * @param phase which of them `from` is masked with, 0 to 3.
 */
export function xorBytes(target: Buffer, from: number, to: number, key: number, phase: number): void {
  let at = from;
  if (to - from >= WORDWISE_BYTES) {
    // Single bytes up to a four-byte boundary of the memory, whole words from there, single bytes at the end.
    for (; ((target.byteOffset + at) & 3) !== 0; at++) target[at] = (target[at] ?? 0) ^ keyByte(key, phase++);
    const words = (to - at) >>> 2;
    const bytes = new Uint8Array(KEY_BYTES).map((_, index) => keyByte(key, phase + index));
    const word = new Uint32Array(bytes.buffer)[0] ?? 0;
    const view = new Uint32Array(target.buffer, target.byteOffset + at, words);
    for (let index = 0; index < words; index++) view[index] = (view[index] ?? 0) ^ word;
    at += words * 4;
  }
  for (; at < to; at++) target[at] = (target[at] ?? 0) ^ keyByte(key, phase++);
}

function keyByte(key: number, phase: number): number {
  return (key >>> (24 - 8 * (phase & 3))) & 0xff;
}

const NOTHING = Buffer.alloc(0);

/**
 * The payload of a close frame; empty for codes that may not stand in one, 1005 and 1006
 * among them (RFC 6455 §7.4.1).
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

/** Bytes of the header of a server's frame. */
export function serverHeaderBytes(payloadBytes: number): number {
  return payloadBytes < 126 ? 2 : payloadBytes < 65_536 ? 4 : 10;
}

/** A whole frame of a server, unmasked (RFC 6455 §5.1). @param first FIN and opcode. */
export function serverFrame(first: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const header = serverHeaderBytes(length);
  const frame = Buffer.allocUnsafeSlow(header + length);
  frame[0] = first;
  if (header === 2) frame[1] = length;
  else if (header === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeUInt32BE(Math.floor(length / 2 ** 32), 2);
    frame.writeUInt32BE(length >>> 0, 6);
  }
  frame.set(payload, header);
  return frame;
}
