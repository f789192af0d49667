import type { Random } from './random.js';

/** Bytes at which readers turn: ends of ranges, separators, what encodings begin with. */
const EDGES = Buffer.from(
  '00010203040506070a0d09202223252c2e2f3a3b3c3d3f405b5c5d7b7d7e7f80818287888a8fbfc0c2e0edeff0f4f8feff',
  'hex',
);

/** Changes an input; what others hold is spliced in. */
type Mutator = (input: Buffer, random: Random, material: Material) => Buffer;

export interface Material {
  readonly words: readonly Buffer[];
  readonly corpus: readonly Buffer[];
}

const MUTATORS: readonly Mutator[] = [
  (input, random) => withByte(input, random, (byte) => byte ^ (1 << random.below(8))),
  (input, random) => withByte(input, random, (byte) => byte + random.below(9) - 4),
  (input, random) => withByte(input, random, () => EDGES[random.below(EDGES.length)] ?? 0),
  (input, random) => replaced(input, random, 0, Buffer.of(EDGES[random.below(EDGES.length)] ?? 0)),
  (input, random) => replaced(input, random, lengthIn(input, random), Buffer.alloc(0)),
  // A piece twice, or moved over another one.
  (input, random) =>
    replaced(input, random, random.below(2) * lengthIn(input, random), pieceOf(input, random)),
  (input, random) => replaced(input, random, 0, repeated(pieceOf(input, random), 2 + random.below(40))),
  (input, random, { words }) => replaced(input, random, 0, words.length > 0 ? random.pick(words) : input),
  (input, random, { words }) =>
    replaced(input, random, lengthIn(input, random), words.length > 0 ? random.pick(words) : input),
  (input, random, { corpus }) =>
    replaced(input, random, lengthIn(input, random), pieceOf(random.pick(corpus), random)),
  (input, random, { corpus }) => {
    const other = random.pick(corpus);
    return Buffer.concat([input.subarray(0, place(input, random)), other.subarray(place(other, random))]);
  },
];

/** The input changed in one to six places, cut to `maxBytes`. */
export function mutated(input: Buffer, random: Random, material: Material, maxBytes: number): Buffer {
  let output: Buffer = input;
  const times = 1 + random.below(1 + random.below(6));
  for (let time = 0; time < times; time++)
    output = random.pick(MUTATORS)(output, random, material).subarray(0, maxBytes);
  return Buffer.from(output);
}

function withByte(input: Buffer, random: Random, change: (byte: number) => number): Buffer {
  if (input.length === 0) return input;
  const output = Buffer.from(input);
  const at = random.below(input.length);
  output[at] = change(output[at] ?? 0);
  return output;
}

/** With `length` bytes somewhere given up for others. */
function replaced(input: Buffer, random: Random, length: number, by: Buffer): Buffer {
  const at = place(input, random);
  return Buffer.concat([input.subarray(0, at), by, input.subarray(at + length)]);
}

function pieceOf(input: Buffer, random: Random): Buffer {
  const at = place(input, random);
  return input.subarray(at, at + lengthIn(input, random));
}

function repeated(piece: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => piece));
}

function place(input: Buffer, random: Random): number {
  return random.below(input.length + 1);
}

/** Short ones more often than long ones. */
function lengthIn(input: Buffer, random: Random): number {
  return 1 + random.below(1 + random.below(input.length + 1));
}
