import { write, writeSync } from 'node:fs';
import type { DestinationStream } from 'pino';

const STANDARD_OUTPUT = 1;
/** Lines are written together once they have this many characters, … */
const PAGE_CHARS = 32_768;
/** … or after this time. */
const LONGEST_WAIT_MS = 50;
/** Largest write of what was logged during the write before it. */
const WRITE_CHARS = 4 * PAGE_CHARS;
/** Most that is buffered, in bytes: whoever started the process may not read its output. */
const MAX_WAITING_BYTES = 16 * 2 ** 20;
/** Pause before a failed write is tried again; … */
const RETRY_MS = 1_000;
/** … and if the pipe was full. */
const FULL_PIPE_MS = 25;
/** How long a process that exits waits for a reader that takes nothing. */
const LAST_WAIT_MS = 5_000;
/** Pause between tries at exit, and time that a pending write has to finish before the first. */
const LAST_PAUSE_MS = 10;

/**
 * Writes log lines to standard output in batches ("pages"): a write goes through another thread, which costs
 * more than everything else about a line. A process that exits writes the rest; one that is killed loses it.
 *
 * If nobody reads, or the disk is full, lines are dropped once 16 MiB are buffered, until half of that has
 * been written; then a line says how many were dropped. A failed write has no other effect: the destination
 * of pino throws such an error where it cannot be caught, and tries for ever when the process exits.
 */
export class LogPages implements DestinationStream {
  #page = '';
  #timer: NodeJS.Timeout | undefined;
  /** Pages to write after the current one, the oldest first. */
  readonly #waiting: string[] = [];
  /** What is being written, or will be tried again. */
  #leaving: Buffer | undefined;
  /** Whether a write of it is pending. */
  #isUnderWay = false;
  /** Bytes in `#waiting` and `#leaving` together. */
  #waitingBytes = 0;
  /** Lines dropped since the last page that was kept. */
  #lost = 0;
  /** Callbacks for when everything is written, or a write has failed. */
  #flushing: (() => void)[] = [];

  /** @param onLost logs how many lines were dropped. */
  constructor(readonly onLost: (lines: number) => void) {
    process.once('exit', () => this.#writeLast());
  }

  write(line: string): void {
    this.#page += line;
    if (this.#page.length >= PAGE_CHARS) this.turn();
    else this.#timer ??= setTimeout(() => this.turn(), LONGEST_WAIT_MS).unref();
  }

  /** Writes the current page. */
  turn(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const page = this.#page;
    if (page === '') return;
    this.#page = '';
    const bytes = Buffer.byteLength(page);
    if (this.#waitingBytes + bytes > (this.#lost > 0 ? MAX_WAITING_BYTES / 2 : MAX_WAITING_BYTES)) {
      this.#lost += page.split('\n').length - 1;
      return;
    }
    this.#tellLost();
    this.#waitingBytes += bytes;
    const last = this.#waiting.at(-1);
    if (last === undefined || last.length + page.length > WRITE_CHARS) this.#waiting.push(page);
    else this.#waiting[this.#waiting.length - 1] = last + page;
    if (this.#leaving === undefined) this.#next();
  }

  #tellLost(): void {
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.onLost(lost);
  }

  /** The same under the name that pino calls. @param done called after the write, or its failure. */
  flush(done?: () => void): void {
    this.turn();
    if (!this.#isUnderWay) done?.();
    else if (done !== undefined) this.#flushing.push(done);
  }

  #flushed(): void {
    const flushing = this.#flushing;
    this.#flushing = [];
    for (const done of flushing) done();
  }

  #next(): void {
    const text = this.#waiting.shift();
    if (text !== undefined) return this.#push(Buffer.from(text));
    this.#flushed();
    this.#tellLost();
  }

  #push(bytes: Buffer): void {
    this.#leaving = bytes;
    this.#isUnderWay = true;
    write(STANDARD_OUTPUT, bytes, (failure, written) => {
      this.#isUnderWay = false;
      if (failure !== null) {
        setTimeout(() => this.#push(bytes), isFullPipe(failure) ? FULL_PIPE_MS : RETRY_MS).unref();
        return this.#flushed();
      }
      this.#waitingBytes -= written;
      if (written < bytes.length) return this.#push(bytes.subarray(written));
      this.#leaving = undefined;
      this.#next();
    });
  }

  /** At exit: writes the rest synchronously, as far as the reader takes it. */
  #writeLast(): void {
    const leaving = this.#isUnderWay ? undefined : this.#leaving;
    const rest = Buffer.concat([
      leaving ?? Buffer.alloc(0),
      Buffer.from(this.#waiting.join('') + this.#page),
    ]);
    if (this.#isUnderWay && rest.length > 0) sleep(LAST_PAUSE_MS);
    let takenMs = performance.now();
    for (let at = 0; at < rest.length; ) {
      try {
        at += writeSync(STANDARD_OUTPUT, rest, at);
        takenMs = performance.now();
      } catch (thrown) {
        if (!isFullPipe(thrown) || performance.now() - takenMs > LAST_WAIT_MS) return;
        sleep(LAST_PAUSE_MS);
      }
    }
  }
}

/** A full pipe may have room again soon, unlike a full disk. */
function isFullPipe(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'EAGAIN';
}

/** Blocks the process. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
