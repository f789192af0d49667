import { z } from 'zod';
import type { JsonSchema, SchemaEndpoint, SchemaFile } from '../config.js';
import type { Problem } from '../problem.js';
import { anyListOf, flag, mustBe, oneOf, word } from '../routes/entry/fields.js';
import { readYaml, type YamlSource } from '../routes/yaml-source.js';
import { isName } from '../syntax.js';
import { type SchemaFault, SchemaWalk } from './walk.js';

/** Nesting of a schema file: JSON, too, is read as YAML. */
const MAX_FLOW_DEPTH = 64;

const schema = z.custom<JsonSchema>(
  (value) =>
    typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value)),
  mustBe('a JSON Schema: a mapping, true or false'),
);

const SEGMENT = /^(?:\{[A-Za-z_]\w*\}|[^/{}?#\s\p{Cc}%\\]+)$/u;

function isEndpointPath(path: string): boolean {
  if (!path.startsWith('/') || path.length > 1024) return false;
  const segments = path.slice(1).split('/');
  // A slash at the end is part of the path; there is no empty segment before it.
  return segments.every(
    (segment, index) =>
      (segment === '' && index === segments.length - 1) ||
      (SEGMENT.test(segment) && segment !== '.' && segment !== '..'),
  );
}

const fileSchema = z.strictObject(
  {
    unknown: oneOf('refuse', 'pass').default('refuse'),
    endpoints: anyListOf(
      z.strictObject(
        {
          method: word(
            'a method in capitals, not CONNECT, TRACE or HEAD (which goes with GET)',
            (name) =>
              isName(name) && name === name.toUpperCase() && !['CONNECT', 'TRACE', 'HEAD'].includes(name),
          ),
          path: word(
            'a path after the prefix that starts with /, its segments words or {name}, decoded',
            isEndpointPath,
          ),
          query: schema.optional(),
          body: schema.optional(),
          detail: flag(false),
        },
        mustBe('a mapping {method, path, query, body, detail}'),
      ),
      'a list of endpoints',
      2000,
    ),
    rpc: z
      .record(
        z.string(),
        z.strictObject({ params: schema }, mustBe('a mapping {params}')),
        mustBe('a mapping of methods'),
      )
      .optional(),
  },
  mustBe('a mapping {unknown, endpoints, rpc}'),
);

/** A place in a schema file with what is wrong there. */
export interface PlacedFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

export type SchemaFileResult =
  | { readonly file: SchemaFile; problem(fault: PlacedFault): Problem }
  | { readonly problems: readonly Problem[] };

/** Faults that are listed. */
const MAX_PROBLEMS = 50;

/** The schemas of a file's text, or everything that is wrong with it, each with its line. */
export function parseSchemaFile(text: string, fileName: string): SchemaFileResult {
  const source = readYaml(text, { maxFlowDepth: MAX_FLOW_DEPTH });
  if ('faults' in source)
    return {
      problems: source.faults
        .slice(0, MAX_PROBLEMS)
        .map(({ line, message }) => ({ name: `${fileName}:${line}: YAML`, message })),
    };
  const problem = (fault: PlacedFault) => problemAt(source, fileName, fault);
  const parsed = fileSchema.safeParse(source.value);
  if (!parsed.success) return { problems: faultsOf(parsed.error.issues).slice(0, MAX_PROBLEMS).map(problem) };
  const { unknown, endpoints, rpc } = parsed.data;
  const file: SchemaFile = {
    unknown,
    endpoints: endpoints.map(({ query, body, ...rest }) => ({ ...rest, query, body })),
    rpc: rpc && Object.entries(rpc).map(([method, { params }]) => ({ method, params })),
  };
  const faults = [...sameEndpoints(file.endpoints), ...schemasIn(file).flatMap(walkFaults)];
  return faults.length > 0 ? { problems: faults.slice(0, MAX_PROBLEMS).map(problem) } : { file, problem };
}

/** Every schema of a file, with where it stands. */
export function schemasIn({ endpoints, rpc }: SchemaFile): readonly PlacedSchema[] {
  const placed: PlacedSchema[] = [];
  for (const [index, { query, body }] of endpoints.entries()) {
    if (query !== undefined) placed.push({ path: ['endpoints', index, 'query'], schema: query });
    if (body !== undefined) placed.push({ path: ['endpoints', index, 'body'], schema: body });
  }
  for (const { method, params } of rpc ?? [])
    placed.push({ path: ['rpc', method, 'params'], schema: params });
  return placed;
}

export interface PlacedSchema {
  readonly path: readonly PropertyKey[];
  readonly schema: JsonSchema;
}

function walkFaults({ path, schema }: PlacedSchema): PlacedFault[] {
  return new SchemaWalk(schema).faults.map((fault: SchemaFault) => ({
    path: [...path, ...fault.path],
    message: fault.message,
  }));
}

function faultsOf(issues: readonly z.core.$ZodIssue[]): PlacedFault[] {
  return issues.flatMap((issue): PlacedFault[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ path: [...issue.path, key], message: 'is not a key that is known here' }))
      : [{ path: issue.path, message: issue.message }],
  );
}

/** Two endpoints that would be asked for the same requests: the second never would. */
function sameEndpoints(endpoints: readonly SchemaEndpoint[]): PlacedFault[] {
  const seen = new Map<string, number>();
  return endpoints.flatMap(({ method, path }, index) => {
    const shape = `${method} ${path.replaceAll(/\{[^{}/]*\}/g, '{}')}`;
    const first = seen.get(shape);
    if (first === undefined) {
      seen.set(shape, index);
      return [];
    }
    return [{ path: ['endpoints', index, 'path'], message: `is the same as that of endpoints[${first}]` }];
  });
}

function problemAt(source: YamlSource, fileName: string, { path, message }: PlacedFault): Problem {
  const place = source.locate(path);
  const key = place.path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
  return { name: `${fileName}:${place.line}: ${key === '' ? 'schemas' : key}`, message };
}
