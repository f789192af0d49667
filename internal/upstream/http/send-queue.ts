/** A connection with a request to write. */
interface Writer {
  write(): void;
}

/**
 * Requests for reused connections: they are written after everything that has arrived was read. Unsolicited
 * bytes of an upstream, or its end, must be seen before the request is sent whose answer they could be taken
 * for.
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
