import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { VARIABLES, type Variable } from '../internal/config/environment/variables.js';
import { authShape } from '../internal/config/routes/entry/auth.js';
import { type EntryKind, entrySchemas, LOCAL_KINDS } from '../internal/config/routes/schema.js';
import { targetSchemas } from '../internal/config/routes/targets.js';
import { VARIABLE_GROUPS } from './variable-docs.js';

/** JSON Schema, draft 7: what editors understand best. */
type Schema = Record<string, unknown>;

const DRAFT = 'http://json-schema.org/draft-07/schema#';

/** Where a variable stands in for the whole value or a part of it. */
const PLACEHOLDER: Schema = { type: 'string', pattern: '\\$\\{' };

/** docs/routes.schema.json, made of what reads routes.yaml; its words are those of docs/configuration.md. */
export function routesSchema(): string {
  const entries = { type: 'array', items: { $ref: '#/definitions/entry' } };
  const kinds = Object.keys(entrySchemas) as EntryKind[];
  return json({
    $schema: DRAFT,
    title: 'Routes of ws-gateway',
    description: 'Which upstream serves which path; the first entry that fits wins.',
    anyOf: [
      { type: 'null' },
      entries,
      {
        type: 'object',
        additionalProperties: false,
        required: ['routes'],
        properties: {
          targets: { type: ['object', 'null'], additionalProperties: { $ref: '#/definitions/target' } },
          routes: { anyOf: [{ type: 'null' }, entries] },
        },
      },
    ],
    definitions: {
      entry: entry(),
      ...Object.fromEntries(kinds.map((kind) => [kind, entryOf(kind)])),
      target: choice({ required: ['file'] }, written(targetSchemas.table), written(targetSchemas.claim)),
    },
  });
}

/** An entry is of the kind that its keys say, so that an editor complains about that kind's keys alone. */
function entry(): Schema {
  const byUpstream = choice(
    { required: ['upstream'], properties: { upstream: firstUpstream('^[hH][tT][tT][pP][sS]?:') } },
    reference('http'),
    choice(
      { required: ['upstream'], properties: { upstream: firstUpstream('^\\$\\{') } },
      { anyOf: [reference('websocket'), reference('http')] },
      reference('websocket'),
    ),
  );
  const byKey = LOCAL_KINDS.reduceRight<Schema>(
    (otherwise, kind) => choice({ required: [kind] }, reference(kind), otherwise),
    byUpstream,
  );
  return { type: 'object', required: ['prefix'], ...byKey };
}

function choice(condition: Schema, then: Schema, otherwise: Schema): Schema {
  return { if: condition, then, else: otherwise };
}

function reference(name: string): Schema {
  return { $ref: `#/definitions/${name}` };
}

function firstUpstream(pattern: string): Schema {
  const url = { type: 'string', pattern };
  const one = [url, { type: 'object', required: ['url'], properties: { url } }];
  return { anyOf: [...one, { type: 'array', minItems: 1, items: [{ anyOf: one }] }] };
}

function entryOf(kind: EntryKind): Schema {
  const schema = written(entrySchemas[kind]);
  const properties = schema.properties as Record<string, Schema>;
  // What these take beside the shape that they are turned into.
  if (kind !== 'logout') properties.auth = written(authShape);
  properties.audience = oneOrMore(properties.audience);
  if (properties.upstream !== undefined) properties.upstream = upstreams(properties.upstream);
  if (properties.logout !== undefined) properties.logout = { anyOf: [{ type: 'null' }, properties.logout] };
  if (kind !== 'websocket') Object.assign(properties.rateLimit ?? {}, oneOfKeys('perSecond', 'perMinute'));
  for (const [key, property] of Object.entries(properties)) describe(property, key);
  return schema;
}

/** Just one of them must be there. */
function oneOfKeys(...keys: readonly string[]): Schema {
  return { oneOf: keys.map((key) => ({ required: [key] })) };
}

/** One item, or a list of them. */
function oneOrMore(list: Schema | undefined): Schema {
  return { anyOf: [list?.items, list].filter((each) => each !== undefined) };
}

function upstreams(list: Schema): Schema {
  const mapping = list.items as Schema;
  const { url } = mapping.properties as Record<string, Schema>;
  return oneOrMore({ ...list, items: { anyOf: [url, mapping] } });
}

/** What may be written for a schema, variables included. */
function written(schema: z.ZodType): Schema {
  const {
    $schema: _,
    definitions: __,
    ...made
  } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-7',
    unrepresentable: 'any',
    reused: 'inline',
  });
  return withPlaceholders(made) as Schema;
}

function withPlaceholders(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withPlaceholders);
  if (typeof node !== 'object' || node === null) return node;
  // Whatever JSON can say, which zod puts into a definition of its own.
  if ('$ref' in node) return {};
  const { default: byDefault, propertyNames: _, ...rest } = node as Schema;
  const inner: Schema = Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [key, withPlaceholders(value)]),
  );
  const isWord = inner.enum !== undefined || ['boolean', 'number', 'integer'].includes(String(inner.type));
  const shape = isWord ? { anyOf: [inner, PLACEHOLDER] } : inner;
  return byDefault === undefined || typeof byDefault === 'object' ? shape : { default: byDefault, ...shape };
}

/** Gives a property, and those in it, their meaning in docs/configuration.md. */
function describe(schema: Schema, path: string): void {
  const meaning = MEANINGS.get(path);
  if (meaning !== undefined) schema.description = meaning;
  const inner = (schema.properties ?? {}) as Record<string, Schema>;
  for (const [key, property] of Object.entries(inner)) describe(property, `${path}.${key}`);
  for (const option of (schema.anyOf ?? []) as Schema[])
    if (option.properties !== undefined) describe(option, path);
}

/** Of each key of a route, the first that the page explains under that name. */
const MEANINGS: ReadonlyMap<string, string> = new Map(
  readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8')
    .split('\n## Routes file\n')
    .slice(1)
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('\\', '')))
    .map(([, key = '', meaning = '']): [string, string] => [key, plain(meaning)])
    .reverse(),
);

/** Without the signs of Markdown. */
function plain(text: string): string {
  return text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '');
}

/** docs/settings.schema.json, made of the table of variables. */
export function settingsSchema(): string {
  const meanings = new Map(Object.values(VARIABLE_GROUPS).flatMap((group) => Object.entries(group)));
  const variables = Object.entries<Variable<unknown>>(VARIABLES).filter(([name]) => name !== 'CONFIG_FILE');
  return json({
    $schema: DRAFT,
    title: 'Settings of ws-gateway',
    description:
      'Variables of the gateway under their own names (CONFIG_FILE); those of the environment win.',
    type: ['object', 'null'],
    additionalProperties: false,
    properties: Object.fromEntries(
      variables.flatMap(([name, variable]) => [
        [name, setting(variable, plain(meanings.get(name) ?? ''))],
        [`${name}_FILE`, { type: ['string', 'null'], description: `File that holds ${name}.` }],
      ]),
    ),
  });
}

function setting({ reader, default: byDefault }: Variable<unknown>, meaning: string): Schema {
  const scalar = { type: ['string', 'number', 'boolean', 'null'] };
  return {
    description: `${meaning}. Must be ${reader.allowed}`,
    ...(byDefault === undefined ? {} : { default: byDefault }),
    ...(reader.words === undefined
      ? { anyOf: [scalar, { type: 'array', items: { type: ['string', 'number', 'boolean'] } }] }
      : { enum: [...reader.words.flatMap(forms), '', null] }),
  };
}

/** A word as text and, where YAML reads it so, as what it is. */
function forms(word: string): unknown[] {
  return word === 'true' || word === 'false' ? [word, word === 'true'] : [word];
}

function json(schema: Schema): string {
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
