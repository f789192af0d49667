import { basename, resolve } from 'node:path';
import type { RouteSchemas } from '../config.js';
import { type Problem, problemLine } from '../problem.js';
import { quote } from '../secrets.js';
import { readTextFile } from '../text-file.js';
import { SchemaCompiler } from './compile.js';
import { keepCompiled } from './compiled.js';
import { parseSchemaFile, schemasIn } from './file.js';

/** Largest schema file that is read. */
const MAX_SCHEMA_BYTES = 262_144;

export type SchemaReading =
  | { readonly schemas: RouteSchemas }
  /** Each worded to follow the key `schemas`. */
  | { readonly faults: readonly string[] };

/**
 * Reads a schema file and compiles all that is in it.
 * @param directory what a relative path starts from.
 */
export function readSchemas(path: string, directory: string): SchemaReading {
  const name = resolve(directory, path);
  const read = readTextFile(name, MAX_SCHEMA_BYTES);
  if ('fault' in read) return { faults: [`${quote(path)} ${read.fault}`] };
  const parsed = parseSchemaFile(read.text, basename(name));
  if ('problems' in parsed) return { faults: parsed.problems.map(problemLine) };
  const compiler = new SchemaCompiler();
  const faults = schemasIn(parsed.file).flatMap((placed) => compiler.faultsOf(placed));
  if (faults.length > 0) {
    const problems: Problem[] = faults.map((fault) => parsed.problem(fault));
    return { faults: problems.map(problemLine) };
  }
  const schemas = { ...parsed.file, file: name };
  keepCompiled(schemas, compiler);
  return { schemas };
}
