/**
 * Lets work that comes in crowds, such as thousands of clients after a restart, take only a part of each turn
 * of the event loop: what is beyond it waits for the next turns, in the order it came, and whoever is being
 * served goes on in between.
 */
export class FewAtATime {
  #left: number;
  #isNextDue = false;
  readonly #waiting = new Set<() => void>();

  /** @param aTurn jobs in one turn of the loop, ≥ 1. */
  constructor(readonly aTurn: number) {
    this.#left = aTurn;
  }

  /** Runs a job now, or in one of the next turns. @param job must not throw. */
  run(job: () => void): void {
    if (this.#takes()) job();
    else this.#waiting.add(job);
  }

  /** The same for work that awaits its turn; undefined: that is now. */
  turn(): Promise<void> | undefined {
    return this.#takes() ? undefined : new Promise((resolve) => this.#waiting.add(resolve));
  }

  /** @returns whether this turn has a part left for one more. */
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
    this.#left = this.aTurn;
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
