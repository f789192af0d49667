const NONE: ReadonlyMap<string, number> = new Map();

/** Leases by holder. Nearly all budgets have one holder: only those with more have a Map. */
export class Holdings {
  /** undefined: there is none at all. */
  #holder: string | undefined;
  #leases = 0;
  #others: Map<string, number> | undefined;

  /** Whether nobody is a holder; one of no leases is. */
  get isEmpty(): boolean {
    return this.#holder === undefined;
  }

  /** undefined: not a holder. */
  get(holder: string): number | undefined {
    return holder === this.#holder ? this.#leases : this.#others?.get(holder);
  }

  set(holder: string, leases: number): void {
    if (this.#holder === undefined || holder === this.#holder) {
      this.#holder = holder;
      this.#leases = leases;
    } else {
      this.#others ??= new Map();
      this.#others.set(holder, leases);
    }
  }

  delete(holder: string): void {
    const others = this.#others;
    if (holder !== this.#holder) others?.delete(holder);
    else {
      const [next] = others ?? NONE;
      [this.#holder, this.#leases] = next ?? [undefined, 0];
      if (next !== undefined) others?.delete(next[0]);
    }
    if (others?.size === 0) this.#others = undefined;
  }

  /** The leases of all but one holder, as of now. */
  without(holder: string): ReadonlyMap<string, number> {
    if (this.#others === undefined && (this.#holder === undefined || this.#holder === holder)) return NONE;
    const others = new Map(this.#others);
    if (this.#holder !== undefined) others.set(this.#holder, this.#leases);
    others.delete(holder);
    return others;
  }
}
