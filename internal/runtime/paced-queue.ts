/**
 * Runs so many jobs in one turn of the event loop; those beyond wait for the next turns, in the order they
 * came. So work that comes by the thousand at once, such as all clients after a restart, leaves time in
 * between for the clients that are being served.
 */
export class PacedQueue {
  #left: number;
  #isNextDue = false;
  readonly #waiting = new Set<() => void>();

  /** @param perTurn jobs in one turn of the loop, ≥ 1. */
  constructor(readonly perTurn: number) {
    this.#left = perTurn;
  }

  /** Runs a job now, or in one of the next turns. @param job must not throw. */
  run(job: () => void): void {
    if (this.#takes()) job();
    else this.#waiting.add(job);
  }

  /** Resolves in the turn in which an asynchronous job may go on; undefined: it may now. */
  turn(): Promise<void> | undefined {
    return this.#takes() ? undefined : new Promise((resolve) => this.#waiting.add(resolve));
  }

  /** @returns whether one more job may run in this turn. */
  #takes(): boolean {
    this.#waitForNext();
    if (this.#left === 0 || this.#waiting.size > 0) return false;
    this.#left--;
    return true;
  }

  #waitForNext(): void {
    if (this.#isNextDue) return;
    this.#isNextDue = true;
    setImmediate(() => this.#next());
  }

  #next(): void {
    this.#isNextDue = false;
    this.#left = this.perTurn;
    for (const job of this.#waiting) {
      if (this.#left === 0) break;
      this.#waiting.delete(job);
      this.#left--;
      this.#waitForNext();
      job();
    }
    if (this.#waiting.size > 0) this.#waitForNext();
  }
}
