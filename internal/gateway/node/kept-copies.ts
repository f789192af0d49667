/** Pieces that are worth memory of their own, in bytes; smaller ones come out of Node's pool. */
const MIN_BYTES = 4_096;
/** As large as a read, and what frames it. */
const BYTES = 65_536 + 64;
/** Copies at a time for which memory is kept. */
const MAX_KEPT = 2;

/**
 * Copies of what is lent, for writes that may have to wait. Their memory is used again once nothing waits: a
 * long answer leaves nothing behind to be collected.
 */
export class KeptCopies {
  readonly #memory: Buffer[] = [];
  #used = 0;

  /** Everything that was copied before has left. */
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
