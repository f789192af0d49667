import type { CompiledEndpoint, CompiledSchemas } from '../../config/schemas/compiled.js';
import { withoutParameters } from '../request-target.js';

/** The endpoint that a request is for (SPEC section 20). */
export type EndpointVerdict =
  | { readonly kind: 'endpoint'; readonly endpoint: CompiledEndpoint }
  /** Not listed, and the file says `unknown: pass`. */
  | { readonly kind: 'pass' }
  | { readonly kind: 'unknown path' }
  | { readonly kind: 'unknown method'; readonly allow: string };

/**
 * @param rest what follows the prefix in the decoded path, by which the route was matched, too. `/x/` is not
 *   `/x`, but the prefix alone is `/`.
 */
export function endpointOf(schemas: CompiledSchemas, method: string, rest: string): EndpointVerdict {
  const segments = segmentsOf(rest);
  const fitting = schemas.endpoints.filter((endpoint) => fits(endpoint.segments, segments));
  const endpoint = fitting.find((one) => one.method === listedMethod(method));
  if (endpoint !== undefined) return { kind: 'endpoint', endpoint };
  if (schemas.unknown === 'pass') return { kind: 'pass' };
  if (fitting.length === 0) return { kind: 'unknown path' };
  const methods = new Set(fitting.flatMap((one) => (one.method === 'GET' ? ['GET', 'HEAD'] : [one.method])));
  return { kind: 'unknown method', allow: [...methods].join(', ') };
}

/**
 * Whether some upstreams take a request for a listed one that `endpointOf` does not: they leave out what
 * parameters a path has (`/orders;x`) or the slash at its end, or do not tell `/Orders` from `/orders`.
 */
export function readsAsListed({ endpoints }: CompiledSchemas, method: string, rest: string): boolean {
  const segments = leniently(segmentsOf(withoutParameters(rest) ?? rest));
  return endpoints.some(
    (endpoint) => endpoint.method === listedMethod(method) && fits(leniently(endpoint.segments), segments),
  );
}

/** RFC 9110 §9.3.2: HEAD is GET without the content. */
function listedMethod(method: string): string {
  return method === 'HEAD' ? 'GET' : method;
}

function segmentsOf(rest: string): string[] {
  return (rest === '' ? '/' : rest).slice(1).split('/');
}

function leniently(segments: CompiledEndpoint['segments']): (string | undefined)[] {
  return (segments.at(-1) === '' ? segments.slice(0, -1) : segments).map((one) => one?.toLowerCase());
}

function fits(wanted: CompiledEndpoint['segments'], segments: CompiledEndpoint['segments']): boolean {
  return (
    wanted.length === segments.length &&
    wanted.every((one, index) => (one === undefined ? segments[index] !== '' : one === segments[index]))
  );
}
