import type { UpstreamListener } from './message-listener.js';

/** What decodes the bytes of a read. */
export interface BatchReader {
  decode(chunk: Buffer, end: number): void;
}

/**
 * Runs the decoding of a read of several frames under its listener's cork, with one function for all
 * connections of a process instead of a closure per read.
 */
export class ReadBatch {
  #reader: BatchReader | undefined;
  #chunk: Buffer | undefined;
  #end = 0;
  readonly #work = (): void => {
    const reader = this.#reader;
    const chunk = this.#chunk;
    this.#reader = undefined;
    if (reader !== undefined && chunk !== undefined) reader.decode(chunk, this.#end);
  };

  run(listener: UpstreamListener, reader: BatchReader, chunk: Buffer, end: number): void {
    // A batch may start while another one runs: what a listener does is its own affair.
    const outerReader = this.#reader;
    const outerChunk = this.#chunk;
    const outerEnd = this.#end;
    this.#reader = reader;
    this.#chunk = chunk;
    this.#end = end;
    try {
      listener.onUpstreamBatch(this.#work);
      // Bytes that were not decoded would leave the decoder in the middle of nowhere.
      this.#work();
    } finally {
      this.#reader = outerReader;
      this.#chunk = outerChunk;
      this.#end = outerEnd;
    }
  }
}
