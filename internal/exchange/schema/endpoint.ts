import type { CompiledEndpoint, CompiledSchemas } from '../../config/schemas/compiled.js';

/** Which endpoint a request is for (SPEC section 20). */
export type EndpointVerdict =
  | { readonly kind: 'endpoint'; readonly endpoint: CompiledEndpoint }
  /** Not listed, and the file says `unknown: pass`. */
  | { readonly kind: 'pass' }
  | { readonly kind: 'unknown path' }
  | { readonly kind: 'unknown method'; readonly allow: string };

/**
 * @param rest what follows the prefix in the decoded path, which is what the route was found by, too;
 *   `/x/` is not `/x`, but the prefix itself is `/`.
 */
export function endpointOf(schemas: CompiledSchemas, method: string, rest: string): EndpointVerdict {
  const segments = (rest === '' ? '/' : rest).slice(1).split('/');
  const fitting = schemas.endpoints.filter((endpoint) => fits(endpoint, segments));
  // RFC 9110 §9.3.2: HEAD is GET without the content.
  const asked = method === 'HEAD' ? 'GET' : method;
  const endpoint = fitting.find((one) => one.method === asked);
  if (endpoint !== undefined) return { kind: 'endpoint', endpoint };
  if (schemas.unknown === 'pass') return { kind: 'pass' };
  if (fitting.length === 0) return { kind: 'unknown path' };
  const methods = new Set(fitting.flatMap((one) => (one.method === 'GET' ? ['GET', 'HEAD'] : [one.method])));
  return { kind: 'unknown method', allow: [...methods].join(', ') };
}

function fits(endpoint: CompiledEndpoint, segments: readonly string[]): boolean {
  return (
    endpoint.segments.length === segments.length &&
    endpoint.segments.every((wanted, index) =>
      wanted === undefined ? segments[index] !== '' : wanted === segments[index],
    )
  );
}
