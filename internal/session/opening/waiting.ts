/** A message that came before the upstream was open. */
export interface WaitingMessage {
  readonly payload: Uint8Array;
  readonly isBinary: boolean;
}

/**
 * Bound on the number of messages: `limitBytes` / this, as a small message costs far more memory than its
 * bytes.
 */
const BYTES_PER_MESSAGE = 16;
/** Bound on their number, whatever `limitBytes` is: an empty message takes about 200 bytes of memory. */
const MAX_MESSAGES = 4096;

/** Messages kept, in order, until the upstream is open (SPEC section 9). Bounded in bytes and in number. */
export class WaitingMessages {
  readonly #messages: WaitingMessage[] = [];
  #bytes = 0;

  /**
   * Keeps a copy of a message.
   * @param limitBytes bound of all that waits; empty messages are bounded by their number.
   * @returns false when it would be too much: nothing was kept.
   */
  add(payload: Uint8Array, isBinary: boolean, limitBytes: number): boolean {
    if (this.#bytes + payload.length > limitBytes) return false;
    if (this.#messages.length >= Math.max(1, Math.min(MAX_MESSAGES, limitBytes / BYTES_PER_MESSAGE)))
      return false;
    this.#bytes += payload.length;
    // Not `slice`, which gives a view when the payload is a Buffer.
    this.#messages.push({ payload: new Uint8Array(payload), isBinary });
    return true;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#messages.length;
  }

  [Symbol.iterator](): IterableIterator<WaitingMessage> {
    return this.#messages[Symbol.iterator]();
  }
}
