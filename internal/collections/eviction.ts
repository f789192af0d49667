/** From so many on the first one is not found at once. */
const MANY = 10_000;

/**
 * The keys of a Map or Set that came first and have to go, once there are more than `most`. Of many a
 * hundredth at a time, as V8 looks for the first one past all that were deleted before it: some 20 µs each
 * time when there are a hundred thousand.
 */
export function oldestBeyond<K>(
  kept: { readonly size: number; keys(): IterableIterator<K> },
  most: number,
): readonly K[] {
  const oldest: K[] = [];
  if (kept.size <= most) return oldest;
  let left = kept.size - most + (most < MANY ? 0 : Math.floor(most / 100));
  for (const key of kept.keys()) {
    if (left-- <= 0) break;
    oldest.push(key);
  }
  return oldest;
}

/**
 * Looks at the entries of a Map a few at a time, round after round: from the beginning each
 * time it would be as slow.
 */
export class Rounds<K, V> {
  #walk: Iterator<[K, V]> | undefined;

  constructor(readonly entries: ReadonlyMap<K, V>) {}

  /** The next ones, as many as that at most: a round ends where the Map does. */
  *next(most: number): IterableIterator<[K, V]> {
    for (let left = most; left > 0; left--) {
      this.#walk ??= this.entries.entries();
      const next = this.#walk.next();
      if (next.done === true) {
        this.#walk = undefined;
        return;
      }
      yield next.value;
    }
  }
}
