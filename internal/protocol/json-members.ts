import { COMMA, endOfString, isClosing, isOpening, isSpace, nameAt, QUOTE } from './strict-json.js';

/**
 * A member of a parsed JSON object; undefined: it has none of that name, or `holder` is no object. What all
 * JavaScript objects inherit, such as `constructor`, is no member.
 */
export function ownMember(holder: unknown, name: string): unknown {
  if (typeof holder !== 'object' || holder === null || Array.isArray(holder)) return undefined;
  return Object.getOwnPropertyDescriptor(holder, name)?.value;
}

/** Where a member stands in the text, from the quotation mark of its name to the end of its value. */
interface Member {
  readonly name: string;
  readonly start: number;
  readonly valueStart: number;
  /** Offset of the first character after it. */
  readonly end: number;
}

/**
 * Cuts members, with their commas, out of an object in a JSON text. Everything else stays as it is written:
 * spacing, escapes, numbers with more digits than a double has.
 * @param text a JSON object that `readStrictJson` has accepted.
 * @param path names of the members that lead to the object; if there is no such object, nothing is cut.
 */
export function withoutMembers(text: string, path: readonly string[], names: readonly string[]): string {
  let open = text.indexOf('{');
  for (const name of path) {
    const member = membersOf(text, open).find((one) => one.name === name);
    if (member === undefined || text[member.valueStart] !== '{') return text;
    open = member.valueStart;
  }
  let kept = '';
  let copied = 0;
  const members = membersOf(text, open);
  let isFirst = true;
  for (const [index, { name, start, end }] of members.entries()) {
    if (!names.includes(name)) {
      isFirst = false;
      continue;
    }
    // The first member goes with the comma after it, every other one with the comma before it.
    kept += text.slice(copied, isFirst ? start : members[index - 1]?.end);
    copied = isFirst ? (members[index + 1]?.start ?? end) : end;
  }
  return kept + text.slice(copied);
}

/** @param open offset of the object's `{`. */
function membersOf(text: string, open: number): Member[] {
  const members: Member[] = [];
  let at = afterSpace(text, open + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const nameEnd = endOfString(text, at);
    const valueStart = afterSpace(text, afterSpace(text, nameEnd + 1) + 1);
    const end = endOfValue(text, valueStart);
    members.push({ name: nameAt(text, at, nameEnd), start: at, valueStart, end });
    at = afterSpace(text, end);
    if (text.charCodeAt(at) !== COMMA) break;
    at = afterSpace(text, at + 1);
  }
  return members;
}

function afterSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

/** Offset after the value that begins at `start`: a string, an array or object, or a literal. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(text, at);
    else if (isOpening(unit)) depth++;
    else if (isClosing(unit) && depth-- === 0) return at;
    else if (depth === 0 && (unit === COMMA || isSpace(unit))) return at;
    if (depth === 0 && (unit === QUOTE || isClosing(unit))) return at + 1;
  }
  return text.length;
}
