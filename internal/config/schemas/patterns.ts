import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';

/** Loaded where schemas are: most gateways have none. */
const load = createRequire(import.meta.url);
const library = () => load('re2js') as typeof import('re2js');

/** Longest pattern and largest program that are taken: repetitions in repetitions multiply. */
const MAX_PATTERN_CHARS = 4_096;
const MAX_PROGRAM = 20_000;

/**
 * A pattern of a schema as an automaton of RE2, whose time is linear in the text whatever the pattern (no
 * ReDoS): a mebibyte takes at most some hundred milliseconds. ECMAScript's syntax is taken but for
 * look-around and back-references.
 * @throws Error when RE2 does not take it.
 */
export function linearPattern(pattern: string): RE2JS {
  if (pattern.length > MAX_PATTERN_CHARS) throw new RangeError('the pattern is too long');
  const { RE2JS } = library();
  const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
  if (compiled.programSize() > MAX_PROGRAM) throw new RangeError('the pattern is too large');
  return compiled;
}

export function isLinearPattern(pattern: string): boolean {
  try {
    linearPattern(pattern);
    return true;
  } catch {
    return false;
  }
}
