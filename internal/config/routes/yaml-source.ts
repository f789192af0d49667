import {
  CST,
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';

/**
 * Nesting that is read: flow collections unless the caller says otherwise, block indicators in one
 * line, columns of indentation.
 */
const MAX_FLOW_DEPTH = 16;
const MAX_INDICATORS_PER_LINE = 16;
const MAX_INDENTATION = 64;
/** How often aliases may repeat anchored nodes in all. */
const MAX_ALIASES = 100;

/** What the parser says where a line is not indented as it should be: true, and no help. */
const OF_LAYOUT = new Set(['BLOCK_AS_IMPLICIT_KEY', 'UNEXPECTED_TOKEN', 'MISSING_CHAR', 'TAB_AS_INDENT']);
const MEND_LAYOUT =
  'keys of one entry stand right below each other, indented by spaces; a space follows each dash and colon; ' +
  'each quote has an end';

/** A place in the file: its line, and the names on the way to it as far as they exist. */
export interface Place {
  readonly line: number;
  readonly path: readonly PropertyKey[];
}

export interface YamlSource {
  /** Plain data; null for an empty file. */
  readonly value: unknown;
  /** Where a value is, or its nearest parent; a key that is missing from a mapping stays in the path. */
  locate(path: readonly PropertyKey[]): Place;
}

export interface YamlFault {
  readonly line: number;
  readonly message: string;
  /** The mappings it is in, where it is no fault of the YAML itself. */
  readonly keys?: readonly string[];
}

/** A text in the file, keys aside. */
export interface TextInFile {
  readonly text: string;
  /** Whether it stands there without quotes. */
  readonly plain: boolean;
  /** Of the mappings around it, from the outermost on. */
  readonly keys: readonly string[];
}

/** What a text is replaced by, or why it can not be. */
export type Filled = { readonly value: unknown } | { readonly fault: string };

export interface YamlOptions {
  /** Flow collections in each other, default 16: JSON is made of them. At most 64, because of the stack. */
  readonly maxFlowDepth?: number;
  /** `failsafe`: every scalar is text, as it is written; default `core`. */
  readonly schema?: 'core' | 'failsafe';
  /** Asked about every text, once however many aliases repeat it; undefined: it stays. */
  readonly fill?: (text: TextInFile) => Filled | undefined;
}

/** Reads a YAML 1.2 document (core schema, no merge keys, no custom tags), or everything wrong with it. */
export function readYaml(
  text: string,
  { maxFlowDepth = MAX_FLOW_DEPTH, schema = 'core', fill }: YamlOptions = {},
): YamlSource | { readonly faults: readonly YamlFault[] } {
  // The parser recurses, and an exhausted stack can end the process inside a regular expression, uncaught.
  const deepLine = lineOfDeepNesting(text, maxFlowDepth);
  if (deepLine !== undefined) return { faults: [{ line: deepLine, message: 'is nested too deeply' }] };
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    // Compares every key with every other: `duplicateKeys` does it once each.
    uniqueKeys: false,
    // Given by name, so that a `%YAML 1.1` directive cannot bring merge keys in.
    schema,
    merge: false,
  });
  const lineAt = (offset: number) => lines.linePos(offset).line || 1;
  const faults: YamlFault[] = [];
  for (const { code, pos, message } of [...document.errors, ...document.warnings]) {
    const line = lineAt(pos[0]);
    // What else the parser says of a line follows from the first.
    if (faults.some((fault) => fault.line === line)) continue;
    // The parser quotes what it stumbled on, which may hold a password.
    const said = message.replace(/: ".*$/s, '');
    faults.push({ line, message: OF_LAYOUT.has(code) ? `${said} (${MEND_LAYOUT})` : said });
  }
  const found = [...duplicateKeys(document), ...wrongAliases(document)];
  faults.push(...found.map(({ offset, message }) => ({ line: lineAt(offset), message })));
  if (faults.length > 0) return { faults };
  if (fill !== undefined) faults.push(...filledIn(document, fill, lineAt));
  if (faults.length > 0) return { faults };
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    return { value, locate: (path) => locate(document, path, lineAt) };
  } catch (error) {
    return { faults: [{ line: 1, message: error instanceof Error ? error.message : 'cannot be read' }] };
  }
}

/** The first line that nests deeper than such a file has reason to, from a pass over its tokens alone. */
function lineOfDeepNesting(text: string, maxFlowDepth: number): number | undefined {
  let line = 1;
  let flowDepth = 0;
  let indicators = 0;
  let atLineStart = true;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (type === 'flow-seq-start' || type === 'flow-map-start') flowDepth++;
    else if (type === 'flow-seq-end' || type === 'flow-map-end') flowDepth = Math.max(0, flowDepth - 1);
    else if (type === 'seq-item-ind' || type === 'explicit-key-ind' || type === 'map-value-ind') {
      if (flowDepth === 0) indicators++;
    }
    const indented = atLineStart && type === 'space' && token.length > MAX_INDENTATION;
    if (indented || flowDepth > maxFlowDepth || indicators > MAX_INDICATORS_PER_LINE) return line;
    atLineStart = type === 'newline';
    if (atLineStart) indicators = 0;
    line += token.split('\n').length - 1;
  }
  return undefined;
}

interface FoundFault {
  /** In characters. */
  readonly offset: number;
  readonly message: string;
}

/** YAML 1.2 §3.2.1.3: keys are unique; and in this file they are all plain words. */
function duplicateKeys(document: Document.Parsed): FoundFault[] {
  const found: FoundFault[] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        const offset = offsetOf(key) ?? offsetOf(map) ?? 0;
        if (!isScalar(key) || typeof key.value !== 'string') {
          found.push({ offset, message: 'a key must be a plain word' });
        } else if (seen.has(key.value)) {
          found.push({ offset, message: `the key ${JSON.stringify(key.value)} is given twice` });
        } else seen.add(key.value);
      }
    },
  });
  return found;
}

/**
 * Aliases that stand for nothing, and those for something they stand in themselves: YAML 1.2 §7.1 allows the
 * latter, but nothing that walks through the values would ever end.
 */
function wrongAliases(document: Document.Parsed): FoundFault[] {
  const found: FoundFault[] = [];
  const anchored = new Map<string, Node>();
  visit(document, {
    // In the order of the text: an alias means the last anchor of its name before it.
    Node(_, node, ancestors) {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchored.set(node.anchor, node);
        return;
      }
      const target = anchored.get(node.source);
      const offset = offsetOf(node) ?? 0;
      if (target === undefined) found.push({ offset, message: 'an alias without an anchor before it' });
      else if (ancestors.includes(target))
        found.push({ offset, message: 'an alias inside of what it stands for' });
    },
  });
  return found;
}

/** Puts what `fill` says in the place of each text. @returns what could not be filled in. */
function filledIn(
  document: Document.Parsed,
  fill: NonNullable<YamlOptions['fill']>,
  lineAt: (offset: number) => number,
): YamlFault[] {
  const faults: YamlFault[] = [];
  visit(document, {
    Scalar(role, scalar, ancestors) {
      if (role === 'key' || typeof scalar.value !== 'string') return;
      const keys = ancestors.flatMap((node) =>
        isPair(node) && isScalar(node.key) ? [String(node.key.value)] : [],
      );
      const filled = fill({ text: scalar.value, plain: scalar.type === 'PLAIN', keys });
      if (filled === undefined) return;
      if ('value' in filled) scalar.value = filled.value;
      else faults.push({ line: lineAt(offsetOf(scalar) ?? 0), message: filled.fault, keys });
    },
  });
  return faults;
}

function locate(
  document: Document.Parsed,
  path: readonly PropertyKey[],
  lineAt: (offset: number) => number,
): Place {
  const found: PropertyKey[] = [];
  let node: unknown = document.contents;
  let offset = offsetOf(node) ?? 0;
  for (const name of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      found.push(name);
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === name);
      if (pair === undefined) break;
      offset = offsetOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof name === 'number') {
      found.push(name);
      node = node.items[name];
      offset = offsetOf(node) ?? offset;
    } else break;
  }
  return { line: lineAt(offset), path: found };
}

/** Where a parsed node begins, in characters. */
function offsetOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range))
    return undefined;
  const [start]: unknown[] = node.range;
  return typeof start === 'number' ? start : undefined;
}
