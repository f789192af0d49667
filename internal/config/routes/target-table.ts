import type { Route, TableTarget, UpstreamRoute } from '../config.js';
import { fieldInArgument, hasUpstreams } from '../config.js';
import type { Problem } from '../problem.js';
import { type FileText, readTextFile, readTextFileAsync } from '../text-file.js';

/** Largest table that is read: room for some 500,000 rows. */
const MAX_TABLE_BYTES = 33_554_432;

/** Characters of a table that are dealt with in one step: about a millisecond. */
const STEP_CHARS = 65_536;

/** How long rows are read in one turn of the event loop. */
const TURN_MS = 5;

/** A table that routes go by, with every field of it that one of them asks for. */
export interface Table {
  /** Of the first target that names it. */
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  readonly fields: readonly string[];
}

/** By field, then by the key of the row: the fields that rows have as text or as a whole number. */
export type TargetColumns = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** What is in a table, or what is wrong with the file, worded to follow its name. */
export type RowsResult =
  | { readonly columns: TargetColumns; readonly rows: number }
  | { readonly fault: string };

/** Reads a table at once, at start. */
export function readTable({ file, fields }: Table): RowsResult {
  return atOnce(readTextFile(file, MAX_TABLE_BYTES), fields);
}

/** The text of a table. */
export function readTableText({ file }: Pick<Table, 'file'>): Promise<FileText> {
  return readTextFileAsync(file, MAX_TABLE_BYTES);
}

/** The rows of a text, a few milliseconds at a time, so that sessions go on meanwhile. */
export async function rowsInTurns(read: FileText, fields: readonly string[]): Promise<RowsResult> {
  if (!('text' in read)) return read;
  const steps = rowsOf(read.text, fields);
  let untilMs = performance.now() + TURN_MS;
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < untilMs) continue;
    await new Promise((resume) => setImmediate(resume));
    untilMs = performance.now() + TURN_MS;
  }
}

/** The tables that routes name. */
export function tablesOf(routes: readonly Route[]): readonly Table[] {
  const tables = new Map<string, { readonly name: string; readonly fields: Set<string> }>();
  for (const route of routes) {
    if (!hasUpstreams(route)) continue;
    for (const { name, file, field } of tableTargets(route)) {
      const { fields } = tables.get(file) ?? { fields: new Set() };
      for (const each of [field, ...fieldsOfCommand(route)]) fields.add(each);
      tables.set(file, { name: tables.get(file)?.name ?? name, fields });
    }
  }
  return Array.from(tables, ([file, { name, fields }]) => ({ name, file, fields: [...fields] }));
}

/** The targets of a route that stand in tables. */
export function tableTargets({ target }: UpstreamRoute): readonly TableTarget[] {
  return [target?.host, target?.port].filter((part) => typeof part === 'object' && part.kind === 'table');
}

/** What the command of a route's bootstrap asks of the row. */
function fieldsOfCommand(route: UpstreamRoute): readonly string[] {
  const mint = route.kind === 'http' ? route.bootstrap?.mint : undefined;
  return mint?.kind === 'command' ? mint.command.flatMap((word) => fieldInArgument(word) ?? []) : [];
}

/** What is wrong with the tables that routes name: at start that is an error. */
export function tableProblems(routes: readonly Route[]): readonly Problem[] {
  return tablesOf(routes).flatMap((table) => {
    const read = readTable(table);
    return 'fault' in read ? [tableProblem(table, read.fault)] : [];
  });
}

/** Likewise, without holding up the event loop. */
export async function tableProblemsInTurns(routes: readonly Route[]): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (const table of tablesOf(routes)) {
    const read = await rowsInTurns(await readTableText(table), table.fields);
    if ('fault' in read) problems.push(tableProblem(table, read.fault));
  }
  return problems;
}

function tableProblem({ name, file }: Table, fault: string): Problem {
  return { name: file, message: `${fault} (table of the target ${name})` };
}

function atOnce(read: FileText, fields: readonly string[]): RowsResult {
  if (!('text' in read)) return read;
  const steps = rowsOf(read.text, fields);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/**
 * The rows of a JSON object of objects. Only the brackets and commas between rows are looked for here, and
 * what is between them goes to JSON.parse in pieces, as one call for 100,000 rows would hold everybody up.
 */
function* rowsOf(text: string, fields: readonly string[]): Generator<undefined, RowsResult> {
  const columns = new Map(fields.map((field) => [field, new Map<string, string>()]));
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
      const fault = takeRows(text.slice(start, at), columns, keys);
      if (fault !== undefined) return { fault };
      start = at + 1;
      yield;
    } else if (char === 0x7d) {
      const last = text.slice(start, at);
      if (members > 0 || last.trim() !== '') members++;
      const fault = takeRows(last, columns, keys);
      if (fault !== undefined) return { fault };
      if (/[^\t\n\r ]/.test(text.slice(at + 1))) return { fault: 'is not JSON' };
      return keys.size === members
        ? { columns, rows: members }
        : { fault: 'names a row twice, or is not JSON' };
    }
  }
  return { fault: 'is not JSON: it ends too early' };
}

function takeRows(
  members: string,
  columns: ReadonlyMap<string, Map<string, string>>,
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
    for (const [field, values] of columns) {
      const value: unknown = Object.hasOwn(row, field) ? row[field] : undefined;
      if (typeof value === 'string') values.set(key, value);
      else if (Number.isSafeInteger(value)) values.set(key, String(value));
    }
  }
  return undefined;
}
