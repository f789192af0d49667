import type { Route, TableTarget, Target } from '../config.js';
import { hasUpstreams } from '../config.js';
import type { Problem } from '../problem.js';
import { type FileText, readTextFile, readTextFileAsync } from '../text-file.js';

/** Largest table that is read: room for some 500,000 rows. */
const MAX_TABLE_BYTES = 33_554_432;

/** Characters of a table that are dealt with in one step: about a millisecond. */
const STEP_CHARS = 65_536;

/** How long rows are read in one turn of the event loop. */
const TURN_MS = 5;

/** One field of each row that has it as text or as a whole number, by the row's key. */
export type TargetRows = ReadonlyMap<string, string>;

/** Rows, or what is wrong with the file, worded to follow its name. */
export type RowsResult = { readonly rows: TargetRows } | { readonly fault: string };

/** Reads a table at once, at start. */
export function readTable({ file, field }: TableTarget): RowsResult {
  return atOnce(readTextFile(file, MAX_TABLE_BYTES), field);
}

/** The text of a table. */
export function readTableText({ file }: Pick<TableTarget, 'file'>): Promise<FileText> {
  return readTextFileAsync(file, MAX_TABLE_BYTES);
}

/** The rows of a text, a few milliseconds at a time, so that sessions go on meanwhile. */
export async function rowsInTurns(read: FileText, field: string): Promise<RowsResult> {
  if (!('text' in read)) return read;
  const steps = rowsOf(read.text, field);
  let untilMs = performance.now() + TURN_MS;
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < untilMs) continue;
    await new Promise((resume) => setImmediate(resume));
    untilMs = performance.now() + TURN_MS;
  }
}

/** The table targets that routes name. */
export function tablesOf(routes: readonly Route[]): readonly TableTarget[] {
  const targets = routes.flatMap((route): (string | Target)[] =>
    hasUpstreams(route) && route.target !== undefined ? [route.target.host, route.target.port] : [],
  );
  return [...new Set(targets)].filter((target) => typeof target === 'object' && target.kind === 'table');
}

/** What is wrong with the tables that routes name: at start that is an error. */
export function tableProblems(routes: readonly Route[]): readonly Problem[] {
  return tablesOf(routes).flatMap((target) => {
    const read = readTable(target);
    return 'fault' in read ? [tableProblem(target, read.fault)] : [];
  });
}

/** Likewise, without holding up the event loop. */
export async function tableProblemsInTurns(routes: readonly Route[]): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (const target of tablesOf(routes)) {
    const read = await rowsInTurns(await readTableText(target), target.field);
    if ('fault' in read) problems.push(tableProblem(target, read.fault));
  }
  return problems;
}

function tableProblem({ name, file }: TableTarget, fault: string): Problem {
  return { name: file, message: `${fault} (table of the target ${name})` };
}

function atOnce(read: FileText, field: string): RowsResult {
  if (!('text' in read)) return read;
  const steps = rowsOf(read.text, field);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/**
 * The rows of a JSON object of objects. Only the brackets and commas between rows are looked for here, and what is between
 * them goes to JSON.parse in pieces, as one call for 100,000 rows would hold everybody up.
 */
function* rowsOf(text: string, field: string): Generator<undefined, RowsResult> {
  const rows = new Map<string, string>();
  const keys = new Set<string>();
  const open = /^[\t\n\r ]*\{/.exec(text)?.[0].length;
  if (open === undefined) return { fault: 'is not a JSON object' };
  let start = open;
  let members = 0;
  let depth = 0;
  let isText = false;
  for (let at = open; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (isText) {
      if (char === 0x5c) at++;
      else if (char === 0x22) isText = false;
    } else if (char === 0x22) isText = true;
    else if (char === 0x7b || char === 0x5b) depth++;
    else if ((char === 0x7d || char === 0x5d) && depth > 0) depth--;
    else if (char === 0x2c && depth === 0) {
      members++;
      if (at - start < STEP_CHARS) continue;
      const fault = takeRows(text.slice(start, at), field, rows, keys);
      if (fault !== undefined) return { fault };
      start = at + 1;
      yield;
    } else if (char === 0x7d) {
      const last = text.slice(start, at);
      if (members > 0 || last.trim() !== '') members++;
      const fault = takeRows(last, field, rows, keys);
      if (fault !== undefined) return { fault };
      if (/[^\t\n\r ]/.test(text.slice(at + 1))) return { fault: 'is not JSON' };
      return keys.size === members ? { rows } : { fault: 'names a row twice, or is not JSON' };
    }
  }
  return { fault: 'is not JSON: it ends too early' };
}

function takeRows(
  members: string,
  field: string,
  rows: Map<string, string>,
  keys: Set<string>,
): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(`{${members}}`);
  } catch {
    return 'is not JSON';
  }
  if (typeof parsed !== 'object' || parsed === null) return 'is not a JSON object';
  for (const [key, row] of Object.entries(parsed)) {
    if (typeof row !== 'object' || row === null || Array.isArray(row)) return 'has a row that is no object';
    keys.add(key);
    const value: unknown = Object.hasOwn(row, field) ? row[field] : undefined;
    if (typeof value === 'string') rows.set(key, value);
    else if (Number.isSafeInteger(value)) rows.set(key, String(value));
  }
  return undefined;
}
