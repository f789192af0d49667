/** As large as the largest read. */
const BYTES = 65_536;

/** Views of up to this many bytes are kept: copying more costs far more than making a view. */
const MAX_KEPT_BYTES = 2048;
/** Views kept at most. A power of two. */
const PLACES = 1024;

/**
 * A buffer of 64 KiB that is filled again and again. Messages of the same size lie at the same places each
 * time, so their views are made once, not once a message. A view is valid until the buffer is filled again.
 */
export class ReusedBuffer {
  readonly bytes = Buffer.allocUnsafeSlow(BYTES);
  /** A hash table by start and length, one view a place. */
  readonly #views: (Buffer | undefined)[] = new Array(PLACES);

  get length(): number {
    return BYTES;
  }

  /** The bytes from `start` to before `end`. */
  view(start: number, end: number): Buffer {
    const length = end - start;
    if (length > MAX_KEPT_BYTES) return this.bytes.subarray(start, end);
    const place = (start * 31 + length) & (PLACES - 1);
    const kept = this.#views[place];
    if (kept !== undefined && kept.byteOffset === start && kept.length === length) return kept;
    const view = this.bytes.subarray(start, end);
    this.#views[place] = view;
    return view;
  }
}
