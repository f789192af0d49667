import type { DestinationStream, pino } from 'pino';

/** Lines leave together when there are so many characters of them, … */
const PAGE_CHARS = 32_768;
/** … and after so long at the latest, in milliseconds. */
const LONGEST_WAIT_MS = 50;

/** For the destination: nothing leaves unasked before it is a page, and a page leaves in one write. */
export const PAGED = { sync: false, minLength: PAGE_CHARS, maxWrite: 4 * PAGE_CHARS };

/**
 * Lets lines leave by the page: each write takes a detour through another thread and costs more than all else about a
 * line. They are put together here because the destination would measure all that waits anew with every line. A process
 * that exits writes the rest; one that is killed loses it.
 */
export class LogPages implements DestinationStream {
  #page = '';
  #timer: NodeJS.Timeout | undefined;
  /** Whether a write is under way, and whether something was handed over meanwhile. */
  #writing = false;
  #more = false;

  /** @param destination made with `PAGED`. */
  constructor(readonly destination: ReturnType<typeof pino.destination>) {
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
    if (this.#page === '') return;
    this.destination.write(this.#page);
    this.#page = '';
    if (this.#writing) this.#more = true;
    else this.#push();
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
    this.#writing = this.#more;
    this.#more = false;
    if (this.#writing) this.destination.flush();
  }
}
