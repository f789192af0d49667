export interface Page<T> {
  /** In the order asked for. */
  readonly items: readonly T[];
  /** Whether there are more after the last one. */
  readonly more: boolean;
}

/**
 * The first `limit` of `items` in the order of `compare`. Takes one pass and memory for two pages, as there
 * are far more sessions and revocations than fit on a page.
 */
export function firstPage<T>(items: Iterable<T>, limit: number, compare: (a: T, b: T) => number): Page<T> {
  const kept: T[] = [];
  let last: T | undefined;
  for (const item of items) {
    if (last !== undefined && compare(item, last) >= 0) continue;
    kept.push(item);
    if (kept.length <= 2 * limit) continue;
    kept.sort(compare);
    // Keeps one more than the page, which shows that there are more.
    kept.length = limit + 1;
    last = kept[limit];
  }
  kept.sort(compare);
  return { items: kept.slice(0, limit), more: kept.length > limit };
}
