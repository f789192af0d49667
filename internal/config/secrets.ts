import { readTextFile } from './text-file.js';

/** Longest part of a value that a message repeats, in characters. */
const MAX_QUOTED_CHARS = 80;
/** Largest value that is read from a file, in bytes. */
const MAX_VALUE_BYTES = 65_536;

/**
 * A value as a message may repeat it: cut to 80 characters, control and non-ASCII characters escaped.
 * What could be the credentials or the query of a URL is left out: a malformed URL can hold a
 * password just as a good one does.
 */
export function quote(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value !== 'string') return 'a mapping';
  const shown = withoutCredentials(value);
  const cut = shown.length <= MAX_QUOTED_CHARS ? shown : `${shown.slice(0, MAX_QUOTED_CHARS)}...`;
  return JSON.stringify(cut).replaceAll(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function withoutCredentials(value: string): string {
  if (value.includes('@')) return `${/^[a-z][a-z\d+.-]*:\/\//i.exec(value)?.[0] ?? ''}...`;
  const query = value.indexOf('?');
  return query === -1 ? value : `${value.slice(0, query)}?...`;
}

/** A variable's text, where it was found, or why it could not be read. */
export type VariableText =
  | { readonly name: string; readonly text: string | undefined }
  | { readonly name: string; readonly fault: string };

/**
 * The variable `name`, or what is in the file that `<name>_FILE` names (white space around it removed), as
 * container platforms mount them. Both at once are refused: which one counts must not be a guess.
 */
export function readVariableText(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
): VariableText {
  const fileVariable = `${name}_FILE`;
  const file = env[fileVariable];
  if (!file) return { name, text: env[name] };
  if (env[name]) return { name: fileVariable, fault: `is set beside ${name}: set only one of them` };
  const read = readTextFile(file, MAX_VALUE_BYTES);
  if ('fault' in read) return { name: fileVariable, fault: `${quote(file)} ${read.fault}` };
  const text = read.text.trim();
  return text === ''
    ? { name: fileVariable, fault: `${quote(file)} is empty` }
    : { name: fileVariable, text };
}
