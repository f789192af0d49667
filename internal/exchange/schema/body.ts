import type { SchemaError } from '../../config/schemas/compile.js';
import type { CompiledEndpoint } from '../../config/schemas/compiled.js';
import { readStrictJson } from '../../protocol/strict-json.js';
import type { HeaderLines } from '../../request/head.js';

/** Largest body that is read whole, whatever the route allows. */
const MAX_CHECKED_BYTES = 1_048_576;
/** All that is wrong is looked for in bodies up to this size: in a large one it could be 100,000 things. */
const MAX_DETAILED_BYTES = 65_536;

/** Largest body of a request that a schema is held against; @param maxBodyBytes of the route, 0: no limit. */
export function checkedBodyLimit(maxBodyBytes: number): number {
  return maxBodyBytes === 0 ? MAX_CHECKED_BYTES : Math.min(maxBodyBytes, MAX_CHECKED_BYTES);
}

/**
 * Whether the type of a body can be held against a schema: 415 for what is not JSON as it is, 400 for JSON in
 * another encoding than its only one (RFC 8259 §8.1), undefined: it can. Asked before the body is read.
 */
export function judgeContentType(headers: HeaderLines): 400 | 415 | undefined {
  // What is compressed is not what the upstream will read (RFC 9110 §15.5.16).
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

/** What is wrong with a body; undefined: nothing, and its bytes may pass as they are. */
export function bodyErrors(
  { body: check, detail }: CompiledEndpoint,
  bytes: Uint8Array,
): readonly SchemaError[] | undefined {
  if (check === undefined) return undefined;
  const reading = readStrictJson(bytes);
  if ('fault' in reading) return [{ path: '', message: `is not acceptable JSON: ${reading.fault}` }];
  return check(reading.value, detail && bytes.length <= MAX_DETAILED_BYTES);
}

/** The member `errors` of a 400: all with messages where the endpoint says `detail`, else the first path. */
export function errorsToShow(
  errors: readonly SchemaError[],
  { detail }: Pick<CompiledEndpoint, 'detail'>,
): readonly { readonly path: string; readonly message?: string }[] {
  if (detail) return errors.map(({ path, message }) => ({ path, message }));
  return errors.slice(0, 1).map(({ path }) => ({ path }));
}
