import { AdminRefusal } from './refusal.js';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;
const MAX_OFFSET = 1_000_000;

/**
 * The parameters of a query string. Unknown and repeated names are refused: a mistyped filter must not be
 * taken for no filter.
 * @throws AdminRefusal 400
 */
export function readParameters<const Name extends string>(
  query: string,
  names: readonly Name[],
): ReadonlyMap<Name, string> {
  const found = new Map<Name, string>();
  for (const [key, value] of new URLSearchParams(query)) {
    const name = names.find((known) => known === key);
    if (name === undefined)
      throw invalid(names.length === 0 ? 'none is known here' : `known are ${names.join(', ')}`);
    if (found.has(name)) throw invalid(`${name} is given twice`);
    found.set(name, value);
  }
  return found;
}

/** Entries of a page, 1 to 1000. @throws AdminRefusal 400 */
export function readLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LIMIT) throw invalid(`limit must be 1 to ${MAX_LIMIT}`);
  return limit;
}

/** Entries to skip, 0 to 1,000,000. @throws AdminRefusal 400 */
export function readOffset(text: string | undefined): number {
  if (text === undefined) return 0;
  const offset = /^\d{1,7}$/.test(text) ? Number(text) : MAX_OFFSET + 1;
  if (offset > MAX_OFFSET) throw invalid(`offset must be 0 to ${MAX_OFFSET}`);
  return offset;
}

export function invalid(why: string): AdminRefusal {
  return new AdminRefusal(400, 'invalid_parameter', `invalid parameter: ${why}`);
}
