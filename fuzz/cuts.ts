import type { Random } from './random.js';

/** The bytes cut in up to six places, as reads may bring them: copies, so that a view kept too long shows. */
export function cut(bytes: Buffer, random: Random): readonly Buffer[] {
  const places = Array.from({ length: random.below(7) }, () => random.below(bytes.length + 1));
  const ends = [...places, bytes.length].sort((one, other) => one - other);
  return ends.map((end, index) => Buffer.from(bytes.subarray(ends[index - 1] ?? 0, end)));
}

/** The same as one beginning after the other, each longer than the one before, the whole last. */
export function beginnings(bytes: Buffer, random: Random): readonly Buffer[] {
  let length = 0;
  return cut(bytes, random).map((piece) => {
    length += piece.length;
    return bytes.subarray(0, length);
  });
}
