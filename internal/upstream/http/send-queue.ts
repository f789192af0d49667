/** Whatever has a request to write. */
interface Writer {
  write(): void;
}

/**
 * Requests for connections that have served before: they go out behind everything that has come by
 * then. What an upstream says unasked, or its end, must be found before a request goes out that it
 * could be taken for the answer of.
 */
export class SendQueue {
  #waiting: Writer[] = [];
  readonly #write = (): void => {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const writer of waiting) writer.write();
  };

  add(writer: Writer): void {
    if (this.#waiting.push(writer) === 1) setImmediate(this.#write);
  }
}
