/** What can be in a `DenseSet`: in one at a time. */
export interface DenseSetMember {
  /** Its place in the array, which the set alone writes: below 0 while it is in none. */
  denseIndex: number;
}

/**
 * A set in no order, in one array without gaps: each member knows its place there, and the last one takes the
 * place of one that is deleted. For members that come and go by the thousand: a Set or Map makes itself a new
 * table every few dozen of them, and the old tables keep each other alive, with all that was in them, until
 * the whole heap is collected.
 */
export class DenseSet<T extends DenseSetMember> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  has({ denseIndex }: T): boolean {
    return denseIndex >= 0;
  }

  add(member: T): void {
    if (member.denseIndex < 0) member.denseIndex = this.#members.push(member) - 1;
  }

  /** @returns whether it was there. */
  delete(member: T): boolean {
    const place = member.denseIndex;
    if (place < 0) return false;
    member.denseIndex = -1;
    const last = this.#members.pop();
    if (last === undefined || last === member) return true;
    // The last one takes the place that is free.
    last.denseIndex = place;
    this.#members[place] = last;
    return true;
  }

  /** The members as of now: they may be added and deleted meanwhile. */
  [Symbol.iterator](): IterableIterator<T> {
    return [...this.#members].values();
  }
}
