import type { DestinationStream, pino } from 'pino';

/** Lines leave together when there are so many characters of them, … */
const PAGE_CHARS = 32_768;
/** … and after so long at the latest, in milliseconds. */
const LONGEST_WAIT_MS = 50;
/** What waits for a reader at most, in bytes: whoever starts the process may read nothing of what it says. */
const MAX_WAITING_BYTES = 16 * 2 ** 20;

/** For the destination: nothing leaves unasked before it is a page, and a page leaves in one write. */
export const PAGED = { sync: false, minLength: PAGE_CHARS, maxWrite: 4 * PAGE_CHARS };

/**
 * Lets lines leave by the page: each write takes a detour through another thread and costs more than all else about a
 * line. They are put together here because the destination would measure all that waits anew with every line. A process
 * that exits writes the rest; one that is killed loses it.
 *
 * Where nobody reads, lines are left out once there are 16 MiB of them, until half of that has been read: then it is said
 * how many.
 */
export class LogPages implements DestinationStream {
  #page = '';
  #timer: NodeJS.Timeout | undefined;
  /** Whether a write is under way, and whether something was handed over meanwhile. */
  #writing = false;
  #more = false;
  /** Handed over, and not written yet. */
  #waitingBytes = 0;
  /** Lines left out since the last one that was not. */
  #lost = 0;

  /**
   * @param destination made with `PAGED`.
   * @param onLost writes a line that says how many were left out before it.
   */
  constructor(
    readonly destination: ReturnType<typeof pino.destination>,
    readonly onLost: (lines: number) => void,
  ) {
    destination.on('write', (bytes: number) => {
      this.#waitingBytes -= bytes;
    });
    destination.on('drain', () => this.#written());
    process.once('exit', () => {
      destination.write(this.#page);
      destination.flushSync();
    });
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
    this.destination.write(page);
    this.#waitingBytes += bytes;
    if (this.#writing) this.#more = true;
    else this.#push();
  }

  #tellLost(): void {
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.onLost(lost);
  }

  /** Likewise; pino's own name for it. @param done called when it is written. */
  flush(done?: () => void): void {
    this.turn();
    this.destination.flush(done);
  }

  #push(): void {
    this.#writing = true;
    this.destination.flush();
  }

  #written(): void {
    this.#tellLost();
    this.#writing = this.#more;
    this.#more = false;
    if (this.#writing) this.destination.flush();
  }
}
