import { isLinearPattern } from './patterns.js';

/** What is wrong inside a schema. */
export interface SchemaFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

type Schema = Readonly<Record<string, unknown>>;

/** Keywords of draft 2020-12 by what they hold. */
export const ONE_SCHEMA = new Set([
  ...[
    'additionalProperties',
    'propertyNames',
    'unevaluatedProperties',
    'unevaluatedItems',
    'items',
    'contains',
  ],
  ...['not', 'if', 'then', 'else', 'contentSchema'],
]);
export const SCHEMA_LISTS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
export const SCHEMA_MAPS = new Set([
  'properties',
  'patternProperties',
  'dependentSchemas',
  '$defs',
  'definitions',
]);
const OTHERS = new Set([
  ...[
    '$schema',
    '$id',
    '$ref',
    '$anchor',
    '$dynamicRef',
    '$dynamicAnchor',
    '$comment',
    'type',
    'enum',
    'const',
  ],
  ...['multipleOf', 'maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum', 'maxLength', 'minLength'],
  ...['pattern', 'format', 'maxItems', 'minItems', 'uniqueItems', 'maxContains', 'minContains'],
  ...['maxProperties', 'minProperties', 'required', 'dependentRequired', 'title', 'description', 'default'],
  ...['deprecated', 'readOnly', 'writeOnly', 'examples', 'contentEncoding', 'contentMediaType'],
]);

/** Formats that are checked. What is not in the list would pass anything. */
export const FORMATS = [
  ...['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uri', 'uri-reference'],
  ...['uri-template', 'uuid', 'json-pointer', 'relative-json-pointer', 'regex'],
] as const;

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';

/**
 * One pass over a schema for what the compiler does not tell the place of: keywords that do not exist, which
 * as annotations would silently check nothing; patterns and formats; references that lead nowhere.
 */
export class SchemaWalk {
  readonly faults: SchemaFault[] = [];
  /** Where `$id` and the anchors of the schema lead. */
  readonly #targets = new Set<string>();
  readonly #references: { readonly path: readonly PropertyKey[]; readonly target: string }[] = [];

  constructor(schema: unknown) {
    this.#visit(schema, []);
    for (const { path, target } of this.#references)
      if (!this.#leadsSomewhere(schema, target))
        this.faults.push({ path, message: `${JSON.stringify(target)} leads nowhere in this schema` });
  }

  #visit(schema: unknown, path: readonly PropertyKey[]): void {
    if (typeof schema === 'boolean') return;
    if (!isMapping(schema)) {
      this.faults.push({ path, message: 'must be a JSON Schema: a mapping, true or false' });
      return;
    }
    for (const [keyword, value] of Object.entries(schema)) {
      const place = [...path, keyword];
      if (ONE_SCHEMA.has(keyword)) this.#visit(value, place);
      else if (SCHEMA_LISTS.has(keyword)) this.#visitList(value, place);
      else if (SCHEMA_MAPS.has(keyword)) this.#visitMap(keyword, value, place);
      else if (OTHERS.has(keyword)) this.#check(keyword, value, place);
      else this.faults.push({ path: place, message: 'is no keyword of JSON Schema draft 2020-12' });
    }
  }

  #visitList(value: unknown, path: readonly PropertyKey[]): void {
    if (!Array.isArray(value)) this.faults.push({ path, message: 'must be a list of schemas' });
    else for (const [index, item] of value.entries()) this.#visit(item, [...path, index]);
  }

  #visitMap(keyword: string, value: unknown, path: readonly PropertyKey[]): void {
    if (!isMapping(value)) {
      this.faults.push({ path, message: 'must be a mapping of schemas' });
      return;
    }
    for (const [name, item] of Object.entries(value)) {
      if (keyword === 'patternProperties') this.#checkPattern(name, [...path, name]);
      this.#visit(item, [...path, name]);
    }
  }

  #check(keyword: string, value: unknown, path: readonly PropertyKey[]): void {
    if (keyword === 'pattern') this.#checkPattern(value, path);
    else if (keyword === 'format' && !FORMATS.some((format) => format === value))
      this.faults.push({ path, message: `must be one of ${FORMATS.join(', ')}` });
    else if (keyword === '$schema' && value !== DRAFT && value !== `${DRAFT}#`)
      this.faults.push({ path, message: `must be ${DRAFT}` });
    else if ((keyword === '$ref' || keyword === '$dynamicRef') && typeof value === 'string')
      this.#references.push({ path, target: value });
    else if (keyword === '$id' && typeof value === 'string') this.#targets.add(value);
    else if ((keyword === '$anchor' || keyword === '$dynamicAnchor') && typeof value === 'string')
      this.#targets.add(`#${value}`);
  }

  #checkPattern(pattern: unknown, path: readonly PropertyKey[]): void {
    if (typeof pattern !== 'string' || !isLinearPattern(pattern))
      this.faults.push({
        path,
        message: 'must be a regular expression that RE2 takes: no look-around, no back-references',
      });
  }

  /** References inside one schema are followed; another document is never fetched. */
  #leadsSomewhere(schema: unknown, target: string): boolean {
    if (target === '#' || target === DRAFT || this.#targets.has(target)) return true;
    if (!target.startsWith('#/')) return [...this.#targets].some((id) => target.startsWith(`${id}#`));
    let node = schema;
    for (const part of target.slice(2).split('/')) {
      const name = decoded(part).replaceAll('~1', '/').replaceAll('~0', '~');
      if (Array.isArray(node)) node = node[Number(name)];
      else if (isMapping(node) && Object.hasOwn(node, name)) node = node[name];
      else return false;
    }
    return node !== undefined;
  }
}

function isMapping(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
