/** Weighted round robin with evenly spread turns (nginx's smooth weighted round robin). */
export class Turns {
  readonly #weights: readonly number[];
  readonly #credits: number[];
  readonly #total: number;

  /** @param weights each above 0. */
  constructor(weights: readonly number[]) {
    this.#weights = weights;
    this.#credits = weights.map(() => 0);
    this.#total = weights.reduce((sum, weight) => sum + weight, 0);
  }

  /** The places in the order in which they are tried; this counts as a turn of the first. */
  next(): readonly number[] {
    if (this.#weights.length === 0) return [];
    let chosen = 0;
    for (const [at, weight] of this.#weights.entries()) {
      this.#credits[at] = this.#credit(at) + weight;
      if (this.#credit(at) > this.#credit(chosen)) chosen = at;
    }
    this.#credits[chosen] = this.#credit(chosen) - this.#total;
    // If the chosen one fails, the next in the circle is tried, so that no single one takes all of its share.
    return this.#weights.map((_, step) => (chosen + step) % this.#weights.length);
  }

  #credit(at: number): number {
    return this.#credits[at] ?? 0;
  }
}
