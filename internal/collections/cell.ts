/**
 * Holds what is kept in a Map of things that come and go by the thousand. Such a Map makes itself a new table
 * every few dozen of them, and its old tables keep each other alive until all of the heap is collected: with
 * empty cells, if whoever takes one out empties it, and not with all that was in them.
 */
export class Cell<T> {
  constructor(public content: T | undefined) {}
}
