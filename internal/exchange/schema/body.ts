import type { SchemaError } from '../../config/schemas/compile.js';
import type { CompiledEndpoint } from '../../config/schemas/compiled.js';
import { readStrictJson } from '../../protocol/strict-json.js';
import { listElements } from '../../request/grammar.js';
import type { HeaderLines } from '../../request/head.js';
import { alikeName } from '../../request/header-names.js';

/** Largest body that is read whole, whatever the route allows. */
const MAX_CHECKED_BYTES = 1_048_576;
/** Only in bodies up to this size are all errors looked for: a large one could have 100,000. */
const MAX_DETAILED_BYTES = 65_536;

/** What says how a body is to be read. */
const DECISIVE: ReadonlySet<string> = new Set(['content-type', 'content-encoding']);

/** Largest body that is checked against a schema; @param maxBodyBytes of the route, 0: no limit. */
export function checkedBodyLimit(maxBodyBytes: number): number {
  return maxBodyBytes === 0 ? MAX_CHECKED_BYTES : Math.min(maxBodyBytes, MAX_CHECKED_BYTES);
}

/**
 * Whether a body of this type can be checked against a schema: undefined: it can; 415: it is not plain JSON;
 * 400: JSON in another encoding than UTF-8 (RFC 8259 §8.1). Asked before the body is read.
 */
export function judgeContentType(headers: HeaderLines): 400 | 415 | undefined {
  // The upstream would not get it (RFC 9110 §7.6.1), and might not take the body for JSON.
  if (listElements(headers.get('connection')).some((name) => name.toLowerCase() === 'content-type'))
    return 415;
  // In another spelling, as Content_Type, the upstream may believe that one.
  for (const name of headers.keys()) if (DECISIVE.has(alikeName(name)) && !DECISIVE.has(name)) return 415;
  // A compressed body is not what the upstream will parse (RFC 9110 §15.5.16).
  const codings = (headers.get('content-encoding') ?? []).map((line) => line.trim().toLowerCase());
  if (codings.some((coding) => coding !== '' && coding !== 'identity')) return 415;
  const lines = headers.get('content-type') ?? [];
  const [line = ''] = lines;
  // Of two, the upstream may believe the other one.
  if (lines.length > 1) return 415;
  const [type = '', ...parameters] = line.split(';').map((part) => part.trim().toLowerCase());
  if (!/^application\/(?:json|[!#$&^_.+\w-]+\+json)$/.test(type)) return 415;
  const [charset, ...more] = parameters.filter((parameter) => parameter.startsWith('charset'));
  // Of two, the upstream may believe the other one, and see two where a quoted text holds one.
  const others = parameters.filter((parameter) => parameter !== charset);
  if (more.length > 0 || others.some((parameter) => parameter.includes('"'))) return 415;
  if (charset === undefined) return undefined;
  const named = /^charset\s*=\s*(?:"([^"]*)"|([^"]*))$/.exec(charset);
  if (named === null) return 415;
  return /^(?:utf-8|us-ascii)$/.test(named[1] ?? named[2] ?? '') ? undefined : 400;
}

/** The errors of a body; undefined: none, and its bytes may pass as they are. */
export function bodyErrors(
  { body: check, detail }: CompiledEndpoint,
  bytes: Uint8Array,
): readonly SchemaError[] | undefined {
  if (check === undefined) return undefined;
  const reading = readStrictJson(bytes);
  if ('fault' in reading) return [{ path: '', message: `is not acceptable JSON: ${reading.fault}` }];
  return check(reading.value, detail && bytes.length <= MAX_DETAILED_BYTES);
}

/**
 * The member `errors` of a 400: all errors with their messages if the endpoint has `detail`, else the path of
 * the first.
 */
export function errorsToShow(
  errors: readonly SchemaError[],
  { detail }: Pick<CompiledEndpoint, 'detail'>,
): readonly { readonly path: string; readonly message?: string }[] {
  if (detail) return errors.map(({ path, message }) => ({ path, message }));
  return errors.slice(0, 1).map(({ path }) => ({ path }));
}
