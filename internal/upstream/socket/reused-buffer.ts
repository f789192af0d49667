/** As large as a read: 64 KiB hold all that one read brings. */
const BYTES = 65_536;

/** Views of up to this many bytes are kept: to copy larger ones costs far more than a view does. */
const MAX_KEPT_BYTES = 2048;
/** Views kept at most. A power of two. */
const PLACES = 1024;

/**
 * 64 KiB that are filled again and again. Messages of the same size come to lie at the same places each
 * time: the views of them are made once, not once a message. What a view shows is right until the
 * memory is filled the next time.
 */
export class ReusedBuffer {
  readonly bytes = Buffer.allocUnsafeSlow(BYTES);
  /** Each in the one place that its start and length make up. */
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
