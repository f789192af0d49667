export interface Page<T> {
  /** In order. */
  readonly items: readonly T[];
  /** Whether there is more behind the last one. */
  readonly more: boolean;
}

/**
 * The first `limit` of `items` in the order of `compare`. One pass, and memory for twice the page: a process
 * has far more sessions and revocations than a page.
 */
export function firstPage<T>(items: Iterable<T>, limit: number, compare: (a: T, b: T) => number): Page<T> {
  const kept: T[] = [];
  let last: T | undefined;
  for (const item of items) {
    if (last !== undefined && compare(item, last) >= 0) continue;
    kept.push(item);
    if (kept.length <= 2 * limit) continue;
    kept.sort(compare);
    // One more than the page: it tells that there is more.
    kept.length = limit + 1;
    last = kept[limit];
  }
  kept.sort(compare);
  return { items: kept.slice(0, limit), more: kept.length > limit };
}
