/** Farther than this is no slip of the fingers. */
const MAX_DISTANCE = 2;

/** The word that somebody meant who wrote `given`; undefined: none is near. */
export function closest(given: string, words: readonly string[]): string | undefined {
  const near = words
    .map((word) => ({ word, away: word.startsWith(given) ? 1 : distance(given, word) }))
    .filter(({ word, away }) => away <= Math.min(MAX_DISTANCE, word.length - 1));
  return near.sort((a, b) => a.away - b.away)[0]?.word;
}

/** Edits from one word to the other: a letter put in, taken out or changed. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const changed = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
