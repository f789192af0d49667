import { write, writeSync } from 'node:fs';
import type { DestinationStream } from 'pino';

const STANDARD_OUTPUT = 1;
/** Lines leave together when there are so many characters of them, … */
const PAGE_CHARS = 32_768;
/** … and after so long at the latest, in milliseconds. */
const LONGEST_WAIT_MS = 50;
/** What waits while a write is under way leaves in writes of so many characters at most. */
const WRITE_CHARS = 4 * PAGE_CHARS;
/** What waits for a reader at most, in bytes: whoever starts the process may read nothing of what it says. */
const MAX_WAITING_BYTES = 16 * 2 ** 20;
/** What could not be written is tried again after so long, in milliseconds; … */
const RETRY_MS = 1_000;
/** … where a pipe was full, after so long. */
const FULL_PIPE_MS = 25;
/** A process that exits waits so long for a reader that takes nothing, in milliseconds. */
const LAST_WAIT_MS = 5_000;
/** Between two tries then; the write that is under way has as long to come before them. */
const LAST_PAUSE_MS = 10;

/**
 * Lets lines leave by the page: each write takes a detour through another thread and costs more than all else
 * about a line. A process that exits writes the rest; one that is killed loses it.
 *
 * Where nobody reads, or the disk is full, lines are left out once there are 16 MiB of them, until half of
 * that has been written: then it is said how many. No failure to write is more than that: pino's own
 * destination throws it where nobody can catch it, and never ends trying when the process exits.
 */
export class LogPages implements DestinationStream {
  #page = '';
  #timer: NodeJS.Timeout | undefined;
  /** Pages that wait for the write before them, the oldest first. */
  readonly #waiting: string[] = [];
  /** What is written now, or tried again soon. */
  #leaving: Buffer | undefined;
  /** Whether another thread has it. */
  #isUnderWay = false;
  /** Of pages, and of what is leaving. */
  #waitingBytes = 0;
  /** Lines left out since the last one that was not. */
  #lost = 0;
  /** Whoever waits until all is written, or that has failed. */
  #flushing: (() => void)[] = [];

  /** @param onLost writes a line that says how many were left out before it. */
  constructor(readonly onLost: (lines: number) => void) {
    process.once('exit', () => this.#writeLast());
  }

  write(line: string): void {
    this.#page += line;
    if (this.#page.length >= PAGE_CHARS) this.turn();
    else this.#timer ??= setTimeout(() => this.turn(), LONGEST_WAIT_MS).unref();
  }

  /** Lets go what waits. */
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

  /** Likewise; pino's own name for it. @param done called when it is written, or cannot be. */
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

  /** There is no other turn: all that has not left yet, as far as it is taken. */
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

/** It may have room soon, other than a disk. */
function isFullPipe(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'EAGAIN';
}

/** Holds the process up. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
