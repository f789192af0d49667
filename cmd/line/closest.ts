import { edits } from '../../internal/config/environment/look-alikes.js';

/** Farther than this is no slip of the fingers. */
const MAX_DISTANCE = 2;

/** The word that somebody meant who wrote `given`; undefined: none is near. */
export function closest(given: string, words: readonly string[]): string | undefined {
  const near = words
    .map((word) => ({ word, away: word.startsWith(given) ? 1 : edits(given, word) }))
    .filter(({ word, away }) => away <= Math.min(MAX_DISTANCE, word.length - 1));
  return near.sort((a, b) => a.away - b.away)[0]?.word;
}
