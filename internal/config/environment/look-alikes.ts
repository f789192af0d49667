import type { Problem } from '../problem.js';
import { VARIABLES } from './variables.js';

/** Most single-character changes between a name and the one that it may be meant for. */
export const MAX_EDITS = 2;
/** What units, kinds of address and files are called at the end of a name. */
const ENDING = /_(FILE|PATH|SECS?|SECONDS?|MS|MILLIS|MINS?|MINUTES?|BYTES|UR[IL]S?|DSN|ADDRESS)$/;
/** Common names of any environment: HOME is two changes from HOST. */
const OF_OTHERS = /^(HOME|HOSTNAME|PWD|OLDPWD|PATH|USER|SHELL|TERM|LANG|TZ|NODE_.*|KUBERNETES_.*)$/;

const KNOWN: readonly string[] = Object.keys(VARIABLES);
/** What can be meant: a variable, or the file that any may come from. Of two as near it is the variable. */
const MEANT = [...KNOWN, ...KNOWN.filter((name) => !name.endsWith('_FILE')).map((name) => `${name}_FILE`)];

/** Variables that are not read but look like one of the gateway's: a misspelt limit would be no limit. */
export function lookAlikes(env: Readonly<Record<string, string | undefined>>): Problem[] {
  return Object.keys(env).flatMap((name) => {
    const meant = env[name] ? lookAlike(name) : undefined;
    return meant === undefined
      ? []
      : [{ name, message: `is not read by the gateway; did you mean ${meant}?` }];
  });
}

/** The variable that a name may have been meant for; undefined: none. */
export function lookAlike(name: string): string | undefined {
  if (OF_OTHERS.test(name) || KNOWN.includes(name) || KNOWN.includes(name.replace(/_FILE$/, '')))
    return undefined;
  const stem = stemOf(name);
  let nearest: string | undefined;
  let least = MAX_EDITS + 1;
  for (const known of MEANT) {
    const distance = stemOf(known) === stem ? 0 : edits(name, known);
    if (distance >= least) continue;
    nearest = known;
    least = distance;
  }
  return nearest;
}

function stemOf(name: string): string {
  const shorter = name.replace(ENDING, '');
  return shorter === name ? name : stemOf(shorter);
}

/** Levenshtein's distance, or more than MAX_EDITS for whatever is further apart. */
export function edits(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > MAX_EDITS) return MAX_EDITS + 1;
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const changed = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
