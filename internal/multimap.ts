/**
 * Several values for a key, each once, in the order they came. Made for keys of which nearly all have one value: those
 * cost no Set of their own.
 *
 * @typeParam V no Set.
 */
export class Multimap<K, V extends object | string> {
  readonly #values = new Map<K, V | Set<V>>();

  /** Keys with at least one value. */
  get size(): number {
    return this.#values.size;
  }

  /** Values of a key. */
  count(key: K): number {
    const held = this.#values.get(key);
    if (held === undefined) return 0;
    return held instanceof Set ? held.size : 1;
  }

  add(key: K, value: V): void {
    const held = this.#values.get(key);
    if (held === undefined) this.#values.set(key, value);
    else if (held instanceof Set) held.add(value);
    else if (held !== value) this.#values.set(key, new Set([held, value]));
  }

  /** @returns whether it was there. */
  delete(key: K, value: V): boolean {
    const held = this.#values.get(key);
    if (!(held instanceof Set)) return held === value && this.#values.delete(key);
    const deleted = held.delete(value);
    const [left] = held;
    if (left !== undefined && held.size === 1) this.#values.set(key, left);
    return deleted;
  }

  /** The values of a key as of now. */
  of(key: K): readonly V[] {
    const held = this.#values.get(key);
    if (held === undefined) return [];
    return held instanceof Set ? [...held] : [held];
  }
}
