/** Largest value four bytes can hold (MQTT 5.0 §1.5.5). */
export const MAX_VARINT = 268_435_455;

const MAX_VARINT_BYTES = 4;

/** A Variable Byte Integer and its length. */
export interface Varint {
  readonly value: number;
  /** Encoded length in bytes, 1 to 4; a longer form than needed is malformed in MQTT 5.0 only. */
  readonly length: number;
}

/**
 * Reads the Variable Byte Integer that starts at `at` (MQTT 3.1.1 §2.2.3, MQTT 5.0 §1.5.5).
 * @returns `more` when `bytes` end inside it, `overlong` when its fourth byte announces a fifth.
 */
export function readVarint(bytes: Uint8Array, at: number): Varint | 'more' | 'overlong' {
  let value = 0;
  for (let index = 0; index < MAX_VARINT_BYTES; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) return 'more';
    value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return { value, length: index + 1 };
  }
  return 'overlong';
}

/** Whether it has the shortest form [MQTT-1.5.5-1]. */
export function isMinimal({ value, length }: Varint): boolean {
  return length === 1 || value >= 2 ** (7 * (length - 1));
}

/** The shortest form of `value`, an integer from 0 to `MAX_VARINT`. */
export function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
