/** Smaller copies than this come out of Node's own pool. */
const MIN_BYTES = 4_096;
/** As large as a read, and the chunk framing around it. */
const BYTES = 65_536 + 64;
/** Buffers that are kept. */
const MAX_KEPT = 2;

/**
 * Copies lent bytes for writes that may have to wait, into memory that is used again once nothing waits: a
 * long answer leaves no garbage.
 */
export class KeptCopies {
  readonly #memory: Buffer[] = [];
  #used = 0;

  /** All earlier copies have been written: their memory is free. */
  free(): void {
    this.#used = 0;
  }

  /** @param before and @param after one character a byte. */
  of(before: string, bytes: Buffer, after: string): Buffer {
    const length = before.length + bytes.length + after.length;
    const copy = this.#take(length);
    copy.write(before, 0, 'latin1');
    bytes.copy(copy, before.length);
    copy.write(after, before.length + bytes.length, 'latin1');
    return copy;
  }

  #take(length: number): Buffer {
    if (length < MIN_BYTES || length > BYTES || this.#used === MAX_KEPT) return Buffer.allocUnsafe(length);
    const place = this.#used++;
    const memory = this.#memory[place] ?? Buffer.allocUnsafeSlow(BYTES);
    this.#memory[place] = memory;
    return memory.subarray(0, length);
  }
}
