/** Why a text is not JSON, or not JSON that all parsers read alike. */
export type JsonFault =
  | 'not UTF-8'
  | 'byte order mark'
  | 'nested too deeply'
  | 'too many elements'
  | 'not JSON'
  | 'duplicate key';

export type JsonReading = { readonly value: unknown } | { readonly fault: JsonFault };

/** Deepest nesting that is read, so that code can walk the value by recursion. */
const MAX_DEPTH = 128;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const BEGINS_ARRAY = /^[ \t\n\r]*\[/;

export const QUOTE = 0x22;
const BACKSLASH = 0x5c;
export const COMMA = 0x2c;

/**
 * Reads JSON that all parsers read as the same value (RFC 8259 §4, §8.1): UTF-8 without a byte order mark, no
 * repeated name in an object, at most 128 levels. Takes linear time.
 * @param maxElements most elements of an array that is the whole value; a longer one is refused without being
 *   parsed.
 */
export function readStrictJson(bytes: Uint8Array, maxElements = Number.POSITIVE_INFINITY): JsonReading {
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch {
    return { fault: 'not UTF-8' };
  }
  if (text.startsWith('\uFEFF')) return { fault: 'byte order mark' };
  // Checked before parsing, as JSON.parse takes long for half a million brackets.
  if (isDeep(text)) return { fault: 'nested too deeply' };
  if (BEGINS_ARRAY.test(text) && hasMoreElements(text, maxElements)) return { fault: 'too many elements' };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { fault: 'not JSON' };
  }
  return hasDuplicateName(text) ? { fault: 'duplicate key' } : { value };
}

/** Whether a text, JSON or not, is nested more deeply than is read. */
export function isDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(text, at);
    else if (isOpening(unit) && ++depth > MAX_DEPTH) return true;
    else if (isClosing(unit)) depth--;
  }
  return false;
}

/** Whether an array has more than `most` elements. */
function hasMoreElements(text: string, most: number): boolean {
  let elements = 1;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(text, at);
    else if (isOpening(unit)) depth++;
    else if (isClosing(unit)) depth--;
    else if (unit === COMMA && depth === 1 && ++elements > most) return true;
  }
  return false;
}

/** Whether any object of a JSON text has a name twice, whether written with escapes or not. */
function hasDuplicateName(text: string): boolean {
  /** The names so far in each object that is open; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      const end = endOfString(text, at);
      const names = open.at(-1);
      if (names !== undefined && isFollowedByColon(text, end + 1)) {
        const name = nameAt(text, at, end);
        if (names.has(name)) return true;
        names.add(name);
      }
      at = end;
    } else if (isOpening(unit)) open.push(unit === 0x7b ? new Set() : undefined);
    else if (isClosing(unit)) open.pop();
  }
  return false;
}

/** Where the string that begins at `start` ends; the end of the text if it is not terminated. */
export function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === BACKSLASH) at++;
    else if (unit === QUOTE) return at;
  }
  return text.length;
}

function isFollowedByColon(text: string, from: number): boolean {
  for (let at = from; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x3a) return true;
    if (!isSpace(unit)) return false;
  }
  return false;
}

/** The name from the quotation mark at `start` to the one at `end`. */
export function nameAt(text: string, start: number, end: number): string {
  const written = text.slice(start + 1, end);
  return written.includes('\\') ? String(JSON.parse(`"${written}"`)) : written;
}

/** `{` or `[`. */
export function isOpening(unit: number): boolean {
  return unit === 0x7b || unit === 0x5b;
}

export function isClosing(unit: number): boolean {
  return unit === 0x7d || unit === 0x5d;
}

/** RFC 8259 §2. */
export function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x09 || unit === 0x0a || unit === 0x0d;
}
