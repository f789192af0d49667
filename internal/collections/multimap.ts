import { Cell } from './cell.js';

/**
 * Several values for a key, each once, in the order they came. Made for keys of which nearly all have one
 * value: those cost no Set of their own.
 *
 * @typeParam V no Set.
 */
export class Multimap<K, V extends object | string> {
  readonly #values = new Map<K, Cell<V | Set<V>>>();

  /** Keys with at least one value. */
  get size(): number {
    return this.#values.size;
  }

  /** Values of a key. */
  count(key: K): number {
    const held = this.#values.get(key)?.content;
    if (held === undefined) return 0;
    return held instanceof Set ? held.size : 1;
  }

  add(key: K, value: V): void {
    const cell = this.#values.get(key);
    const held = cell?.content;
    if (cell === undefined) this.#values.set(key, new Cell<V | Set<V>>(value));
    else if (held instanceof Set) held.add(value);
    else if (held !== undefined && held !== value) cell.content = new Set([held, value]);
  }

  /** @returns whether it was there. */
  delete(key: K, value: V): boolean {
    const cell = this.#values.get(key);
    if (cell === undefined) return false;
    const held = cell.content;
    if (held instanceof Set) {
      const deleted = held.delete(value);
      if (held.size === 1) [cell.content] = held;
      return deleted;
    }
    if (held !== value) return false;
    cell.content = undefined;
    return this.#values.delete(key);
  }

  /** The values of a key as of now. */
  of(key: K): readonly V[] {
    const held = this.#values.get(key)?.content;
    if (held === undefined) return [];
    return held instanceof Set ? [...held] : [held];
  }
}
