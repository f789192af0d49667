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
 * Goes through the entries of a Map a few at a time, and after the last one begins again. Going on where it
 * stopped is what makes it fast: V8 steps over all that was deleted before the first entry each time.
 */
export class SweepCursor<K, V> {
  #walk: Iterator<[K, V]> | undefined;

  constructor(readonly entries: ReadonlyMap<K, V>) {}

  /** The next entries, `most` of them or fewer: it stops at the end of the Map. */
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
