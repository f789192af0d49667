/** As large as a read: 64 KiB hold all that one read brings. */
const BYTES = 65_536;

/** Views of up to this many bytes are kept. */
const MAX_KEPT_BYTES = 2048;
/** Where kept views begin: at 0, or behind a frame header of 2 or 4 bytes (RFC 6455 §5.2). */
const KEPT_STARTS = 3;

/**
 * 64 KiB that are filled again and again. Small messages come to lie at the same place each time: the views of them are
 * made once, not once a message. What a view shows is right until the memory is filled the next time.
 */
export class ReusedBuffer {
  readonly bytes = Buffer.allocUnsafeSlow(BYTES);
  readonly #views: (Buffer | undefined)[] = new Array((MAX_KEPT_BYTES + 1) * KEPT_STARTS);

  get length(): number {
    return BYTES;
  }

  /** The bytes from `start` to before `end`. */
  view(start: number, end: number): Buffer {
    const length = end - start;
    const place = start >> 1;
    if ((start & 1) !== 0 || place >= KEPT_STARTS || length > MAX_KEPT_BYTES)
      return this.bytes.subarray(start, end);
    const index = length * KEPT_STARTS + place;
    this.#views[index] ??= this.bytes.subarray(start, end);
    return this.#views[index];
  }
}
