/** Type, and length of what follows the type (PostgreSQL documentation, 55.7). */
const HEAD_BYTES = 5;

/**
 * Longest message that is taken: rows of ours have some hundred kilobytes, and lengths are easily claimed.
 */
const MAX_MESSAGE_BYTES = 16_777_216;

const ERROR = 0x45;
const NOTICE = 0x4e;

/**
 * The bytes of a server, message by message. The library looks for the ends of texts beyond the end of a
 * message, and goes on forever where a list of error fields has none.
 */
export class PostgresMessages {
  /** A message that has not come whole, in the pieces in which it came. */
  #pieces: Buffer[] = [];
  #length = 0;
  /** How much of it has to be there to go on. */
  #wanted = HEAD_BYTES;

  /**
   * @param take is given each message that is whole.
   * @throws RangeError that it is too long, or shorter than what it says of itself.
   */
  read(bytes: Buffer, take: (message: Buffer) => void): void {
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    if (this.#length < this.#wanted) return;
    const all = this.#pieces.length === 1 ? bytes : Buffer.concat(this.#pieces);
    let at = 0;
    let wanted = HEAD_BYTES;
    while (at + HEAD_BYTES <= all.length) {
      const length = messageLength(all, at);
      if (at + length > all.length) {
        wanted = length;
        break;
      }
      const message = all.subarray(at, at + length);
      assertEnds(message);
      take(message);
      at += length;
    }
    this.#pieces = at < all.length ? [all.subarray(at)] : [];
    this.#length = all.length - at;
    this.#wanted = wanted;
  }
}

function messageLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at + 1);
  if (length < HEAD_BYTES - 1 || length > MAX_MESSAGE_BYTES)
    throw new RangeError(`a message of ${length} bytes`);
  return length + 1;
}

/** ErrorResponse and NoticeResponse hold fields, each a type and a text that ends with NUL, and a NUL. */
function assertEnds(message: Buffer): void {
  const type = message[0];
  if (type !== ERROR && type !== NOTICE) return;
  let at = HEAD_BYTES;
  while (at < message.length && message[at] !== 0) {
    const end = message.indexOf(0, at + 1);
    if (end < 0) break;
    at = end + 1;
  }
  if (message[at] !== 0) throw new RangeError('a list of error fields without an end');
}
