/** Counts live connections per key (an address, a subject) against one limit; forgets a key at 0. */
export class ConnectionLimit {
  readonly #counts = new Map<string, number>();

  /**
   * @param limit connections a key may have at once; 0: no limit, and nothing is counted.
   * @param keyOf what is counted under a name: several names may be one.
   */
  constructor(
    readonly limit: number,
    readonly keyOf: (name: string) => string = (name) => name,
  ) {}

  /**
   * Counts one more connection of `key`.
   * @returns false, and counts nothing, when it has as many as it may.
   */
  tryEnter(name: string): boolean {
    if (this.limit === 0) return true;
    const key = this.keyOf(name);
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.limit) return false;
    this.#counts.set(key, count + 1);
    return true;
  }

  /** Undoes one `tryEnter` that returned true; call it exactly once for each. */
  leave(name: string): void {
    if (this.limit === 0) return;
    const key = this.keyOf(name);
    const count = this.#counts.get(key);
    if (count === undefined) return;
    if (count === 1) this.#counts.delete(key);
    else this.#counts.set(key, count - 1);
  }

  /** Keys with at least one connection. */
  get size(): number {
    return this.#counts.size;
  }
}
