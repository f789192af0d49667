import type { SchemaEndpoint, SchemaFile } from '../config.js';
import { type SchemaCheck, SchemaCompiler } from './compile.js';
import { type ParameterTypes, parameterTypes } from './parameter-types.js';

/** What requests to an endpoint are held against. */
export interface CompiledEndpoint {
  readonly method: string;
  /** undefined: any text that is not empty. */
  readonly segments: readonly (string | undefined)[];
  readonly query: { readonly check: SchemaCheck; readonly types: ParameterTypes } | undefined;
  readonly body: SchemaCheck | undefined;
  readonly detail: boolean;
}

/** A schema file ready for use. */
export interface CompiledSchemas {
  readonly unknown: SchemaFile['unknown'];
  /** The narrower ones first. */
  readonly endpoints: readonly CompiledEndpoint[];
  /** Whether `params` are what a method takes, by method; undefined: no rules for JSON-RPC. */
  readonly rpc: ReadonlyMap<string, (params: unknown) => boolean> | undefined;
}

/** Functions do not cross processes: each compiles what it was given once, as long as the table is in use. */
const compiled = new WeakMap<SchemaFile, CompiledSchemas>();

export function compiledSchemas(file: SchemaFile): CompiledSchemas {
  return compiled.get(file) ?? keepCompiled(file, new SchemaCompiler());
}

/** @param compiler knows already what was compiled while the file was checked. */
export function keepCompiled(file: SchemaFile, compiler: SchemaCompiler): CompiledSchemas {
  const schemas = compile(file, compiler);
  compiled.set(file, schemas);
  return schemas;
}

function compile({ unknown, endpoints, rpc }: SchemaFile, compiler: SchemaCompiler): CompiledSchemas {
  return {
    unknown,
    endpoints: endpoints.map((endpoint) => compileEndpoint(endpoint, compiler)).sort(narrowerFirst),
    rpc: rpc && new Map(rpc.map(({ method, params }) => [method, accepts(compiler.check(params))])),
  };
}

function compileEndpoint(endpoint: SchemaEndpoint, compiler: SchemaCompiler): CompiledEndpoint {
  const { method, path, query, body, detail } = endpoint;
  return {
    method,
    segments: path
      .slice(1)
      .split('/')
      .map((segment) => (segment.startsWith('{') ? undefined : segment)),
    query: query === undefined ? undefined : { check: compiler.check(query), types: parameterTypes(query) },
    body: body === undefined ? undefined : compiler.check(body),
    detail,
  };
}

function accepts(check: SchemaCheck): (params: unknown) => boolean {
  return (params) => check(params, false) === undefined;
}

/** Of two paths that fit, the one with a word where the other has `{name}` comes first, from the left. */
function narrowerFirst(a: CompiledEndpoint, b: CompiledEndpoint): number {
  for (const [index, segment] of a.segments.entries()) {
    const other = b.segments[index];
    if ((segment === undefined) !== (other === undefined)) return segment === undefined ? 1 : -1;
  }
  return 0;
}
