/** `HTTP/1.1 100` */
const STATUS_BYTES = 12;
const START = Buffer.from('HTTP/1.');
const HEAD_END = Buffer.from('\r\n\r\n');
const ONE = 0x31;
const ZERO = 0x30;

/** Most that is held back of a head that has not come whole, in bytes; beyond it the parser may say what is wrong. */
const MAX_HELD_BYTES = 65_536;

/**
 * Takes interim answers (RFC 9110 §15.2) out of what an upstream says. A client must be able to read those that it has not
 * asked for, and a proxy may drop them; undici gives a connection up over a 100. 101 stays: it is none to an exchange.
 */
export class InterimAnswers {
  #isAwaited = false;
  #held: Buffer | undefined;

  /** A request goes out: what comes next is the head of its answer. */
  expect(): void {
    this.#isAwaited = true;
    this.#held = undefined;
  }

  /** @returns what the parser is to read of it; null: nothing yet. */
  pass(chunk: Buffer): Buffer | null {
    if (!this.#isAwaited) return chunk;
    let bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = undefined;
    for (;;) {
      if (!mayBeInterim(bytes)) {
        this.#isAwaited = false;
        return bytes;
      }
      const end = bytes.length < STATUS_BYTES ? -1 : bytes.indexOf(HEAD_END);
      if (end < 0 && bytes.length <= MAX_HELD_BYTES) {
        this.#held = bytes;
        return null;
      }
      if (end < 0) {
        this.#isAwaited = false;
        return bytes;
      }
      bytes = bytes.subarray(end + HEAD_END.length);
      if (bytes.length === 0) return null;
    }
  }
}

/** Whether it is, or begins like, the head of an interim answer other than 101. */
function mayBeInterim(bytes: Buffer): boolean {
  if (bytes.length >= STATUS_BYTES && bytes[9] !== ONE) return false;
  const known = Math.min(bytes.length, START.length);
  if (START.compare(bytes, 0, known, 0, known) !== 0) return false;
  if (bytes.length > 9 && bytes[9] !== ONE) return false;
  return bytes.length < STATUS_BYTES || bytes[10] !== ZERO || bytes[11] !== ONE;
}
