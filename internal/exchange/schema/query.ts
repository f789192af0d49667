import type { SchemaError } from '../../config/schemas/compile.js';
import type { CompiledEndpoint } from '../../config/schemas/compiled.js';

/** RFC 8259 §6. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * Holds a query against its endpoint's schema: an object of the parameters, each a text, a repeated one a
 * list of them. Where the schema wants a number or true or false, a text that is written so in JSON counts
 * as one; nothing else does.
 * @param query as the upstream will get it, the token's parameter taken out.
 * @returns what is wrong; undefined: nothing.
 */
export function queryErrors(
  { query: rules, detail }: CompiledEndpoint,
  query: string,
): readonly SchemaError[] | undefined {
  if (rules === undefined) return undefined;
  const values = parameters(query);
  if (values === undefined) return [{ path: '', message: 'is not percent-encoded UTF-8' }];
  // Without a prototype: parameters may be called anything.
  const object = Object.create(null) as Record<string, unknown>;
  for (const [name, texts] of values) {
    const [only = ''] = texts;
    object[name] =
      texts.length === 1
        ? coerced(only, rules.types.of(name))
        : texts.map((text) => coerced(text, rules.types.ofItems(name)));
  }
  return rules.check(object, detail);
}

/** undefined: somewhere `%` does not begin a byte, or the bytes are no UTF-8: readers take it differently. */
function parameters(query: string): ReadonlyMap<string, readonly string[]> | undefined {
  const found = new Map<string, string[]>();
  for (const piece of query.split('&')) {
    if (piece === '') continue;
    const equals = piece.indexOf('=');
    const name = decoded(equals < 0 ? piece : piece.slice(0, equals));
    const value = equals < 0 ? '' : decoded(piece.slice(equals + 1));
    if (name === undefined || value === undefined) return undefined;
    const known = found.get(name);
    if (known === undefined) found.set(name, [value]);
    else known.push(value);
  }
  return found;
}

/** application/x-www-form-urlencoded (WHATWG URL §5.1). */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

function coerced(text: string, types: ReadonlySet<string>): unknown {
  if (types.has('string')) return text;
  if ((types.has('number') || types.has('integer')) && NUMBER.test(text)) return Number(text);
  if (types.has('boolean') && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}
