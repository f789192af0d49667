import { isUtf8 } from 'node:buffer';

/**
 * Validates UTF-8 that comes in pieces cut anywhere (RFC 3629, RFC 6455 §8.1): whole pieces
 * natively, the character that straddles a cut byte by byte, so that an impossible prefix is refused
 * before the rest of it has come.
 */
export class Utf8Stream {
  /** Continuation bytes the character at the cut still lacks, 0 to 3. */
  #lacking = 0;
  /** Range of the next continuation byte: narrower after E0, ED, F0 and F4 (RFC 3629 §4). */
  #low = 0x80;
  #high = 0xbf;

  /** Whether nothing is cut off in the middle of a character. */
  get complete(): boolean {
    return this.#lacking === 0;
  }

  /** @returns whether all bytes so far are UTF-8 or the beginning of it. */
  push(bytes: Buffer): boolean {
    const end = bytes.length;
    let at = 0;
    for (; this.#lacking > 0 && at < end; at++) if (!this.#continues(bytes[at] ?? 0)) return false;
    const cut = cutCharacterAt(bytes, at);
    if (at < cut && !isUtf8(at === 0 && cut === end ? bytes : bytes.subarray(at, cut))) return false;
    if (cut === end) return true;
    if (!this.#leads(bytes[cut] ?? 0)) return false;
    for (at = cut + 1; at < end; at++) if (!this.#continues(bytes[at] ?? 0)) return false;
    return true;
  }

  #leads(byte: number): boolean {
    this.#lacking = sequenceBytes(byte) - 1;
    this.#low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    return byte >= 0xc2 && byte <= 0xf4;
  }

  #continues(byte: number): boolean {
    const fits = byte >= this.#low && byte <= this.#high;
    this.#lacking--;
    this.#low = 0x80;
    this.#high = 0xbf;
    return fits;
  }
}

/** Where a character that lacks bytes begins at the end of `bytes`, from `from` on; their length if none. */
function cutCharacterAt(bytes: Buffer, from: number): number {
  const end = bytes.length;
  for (let at = end - 1; at >= from && at >= end - 3; at--) {
    const byte = bytes[at] ?? 0;
    if ((byte & 0xc0) !== 0x80) return sequenceBytes(byte) > end - at ? at : end;
  }
  return end;
}

/** Bytes of the character that begins with `byte`; 1 for what begins none. */
function sequenceBytes(byte: number): number {
  if (byte < 0xc0) return 1;
  if (byte < 0xe0) return 2;
  return byte < 0xf0 ? 3 : 4;
}
