import type { Random } from './random.js';

/** One reader of hostile bytes, and what must hold of it whatever they are. */
export interface Target {
  readonly name: string;
  /** Longest input that is made, in bytes. */
  readonly maxBytes: number;
  /** Words of its language: what no chance would write. */
  readonly words: readonly (string | Buffer)[];
  /**
   * Reads the input and asks whether all that must hold does.
   * @param random follows from the input alone: where it is cut, for one.
   * @returns which kind of case it is; the first input of a kind is kept and built upon.
   * @throws anything: a finding.
   */
  run(input: Buffer, random: Random): string;
  /** Holds the verdict against a reader that answers later. Rejects: a finding. */
  compare?(input: Buffer): Promise<void>;
}

/** A kind of case by what has happened, in whatever order and however often. */
export function kindBy(events: readonly string[]): string {
  return [...new Set(events)].toSorted((one, other) => (one < other ? -1 : 1)).join();
}
