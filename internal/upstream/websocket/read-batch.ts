import type { UpstreamListener } from './message-listener.js';

/** A decoder of the bytes of a read. */
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
    // A listener may cause another batch to start while this one runs.
    const outerReader = this.#reader;
    const outerChunk = this.#chunk;
    const outerEnd = this.#end;
    this.#reader = reader;
    this.#chunk = chunk;
    this.#end = end;
    try {
      listener.onUpstreamBatch(this.#work);
      // If not all bytes were decoded, the decoder would lose its place in the stream.
      this.#work();
    } finally {
      this.#reader = outerReader;
      this.#chunk = outerChunk;
      this.#end = outerEnd;
    }
  }
}
