import type { JsonSchema } from '../config.js';

/** What texts of a query may stand for, by parameter: `string` in it, or nothing: the text stays as it is. */
export interface ParameterTypes {
  /** The types that a single value may have. */
  of(name: string): ReadonlySet<string>;
  /** The types that an item of a repeated parameter may have. */
  ofItems(name: string): ReadonlySet<string>;
}

type Schema = Readonly<Record<string, unknown>>;

/** References followed on the way to a type. */
const MAX_DEPTH = 16;

/** The types that the schema of a query gives its parameters, through references and combinations. */
export function parameterTypes(schema: JsonSchema): ParameterTypes {
  const known = new Map<string, ReadonlySet<string>>();
  const cached = (key: string, find: () => ReadonlySet<string>) => {
    const types = known.get(key) ?? find();
    // A client can bring any number of names; those of the schema are few.
    if (types.size > 0) known.set(key, types);
    return types;
  };
  const walk = new TypeWalk(schema);
  return {
    of: (name) => cached(`value ${name}`, () => walk.types(walk.property(name))),
    ofItems: (name) =>
      cached(`items ${name}`, () => walk.types(walk.property(name).flatMap((one) => walk.items(one)))),
  };
}

class TypeWalk {
  constructor(readonly root: JsonSchema) {}

  /** The schemas a parameter is held against. */
  property(name: string): unknown[] {
    return this.#all(this.root).flatMap((schema) => {
      const { properties, additionalProperties } = schema;
      if (isSchema(properties) && Object.hasOwn(properties, name)) return [properties[name]];
      return additionalProperties === undefined ? [] : [additionalProperties];
    });
  }

  items(schema: unknown): unknown[] {
    return this.#all(schema).flatMap((one) => [
      ...(one.items === undefined ? [] : [one.items]),
      ...(Array.isArray(one.prefixItems) ? one.prefixItems : []),
    ]);
  }

  types(schemas: readonly unknown[]): ReadonlySet<string> {
    const types = new Set<string>();
    for (const schema of schemas.flatMap((one) => this.#all(one))) {
      const { type, enum: values, const: value } = schema;
      for (const name of Array.isArray(type) ? type : [type]) if (typeof name === 'string') types.add(name);
      // Without a type the values say it.
      if (type === undefined)
        for (const one of [...(Array.isArray(values) ? values : []), ...('const' in schema ? [value] : [])])
          types.add(typeof one);
    }
    return types;
  }

  /** A schema with those it is made of. */
  #all(schema: unknown, depth = 0): Schema[] {
    if (!isSchema(schema) || depth > MAX_DEPTH) return [];
    const parts: unknown[] = ['allOf', 'anyOf', 'oneOf'].flatMap((key) => {
      const list = schema[key];
      return Array.isArray(list) ? list : [];
    });
    if (typeof schema.$ref === 'string') parts.push(this.#target(schema.$ref));
    return [schema, ...parts.flatMap((part) => this.#all(part, depth + 1))];
  }

  #target(reference: string): unknown {
    if (!reference.startsWith('#/')) return undefined;
    let node: unknown = this.root;
    for (const part of reference.slice(2).split('/'))
      node = isSchema(node) ? node[part.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined;
    return node;
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
