/** Numbers from 0 up to, not including, 1 (mulberry32): the same seed gives the same ones. */
export type Random = () => number;

export function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('nothing to pick from');
  return item;
}

/** Milliseconds until something that happens by chance, `meanMs` on average, five times that at most. */
export function chanceMs(random: Random, meanMs: number): number {
  return Math.min(5 * meanMs, -Math.log(1 - random()) * meanMs);
}
