import { headerName } from './header-names.js';

/** Header lines, name and value by turns, as node:http takes them. */
export type FlatHeaders = string[];

/** The value of the first line of a name, given in lower case; undefined: there is none. */
export function firstValue(lines: readonly string[], name: string): string | undefined {
  for (let at = 0; at + 1 < lines.length; at += 2)
    if (headerName(lines[at] ?? '').lower === name) return lines[at + 1];
  return undefined;
}

/** Without the lines whose name, in lower case, fits. */
export function withoutLines(lines: readonly string[], fits: (name: string) => boolean): FlatHeaders {
  const kept: FlatHeaders = [];
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = lines[at] ?? '';
    if (!fits(headerName(name).lower)) kept.push(name, lines[at + 1] ?? '');
  }
  return kept;
}
