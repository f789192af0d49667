/** What can be on a `Roll`: on one at a time. */
export interface Enrolled {
  /** The roll's own: below 0 while it is on none. */
  rollPlace: number;
}

/**
 * Those that are there now, in no order. For what comes and goes by the thousand: a Set or Map makes itself a
 * new table every few dozen of them, and the old ones keep each other alive, with whoever was in them, until
 * all of the heap is collected.
 */
export class Roll<T extends Enrolled> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  has({ rollPlace }: T): boolean {
    return rollPlace >= 0;
  }

  add(member: T): void {
    if (member.rollPlace < 0) member.rollPlace = this.#members.push(member) - 1;
  }

  /** @returns whether it was there. */
  delete(member: T): boolean {
    const place = member.rollPlace;
    if (place < 0) return false;
    member.rollPlace = -1;
    const last = this.#members.pop();
    if (last === undefined || last === member) return true;
    // The last one takes the place that is free.
    last.rollPlace = place;
    this.#members[place] = last;
    return true;
  }

  /** As of now: they may come and go meanwhile. */
  [Symbol.iterator](): IterableIterator<T> {
    return [...this.#members].values();
  }
}
