import { decodeToken } from '../auth/identity/jwt-shape.js';
import type { ExchangeRoute } from '../config/config.js';
import { type CompiledSchemas, compiledSchemas } from '../config/schemas/compiled.js';
import type { FlatHeaders } from '../request/flat-headers.js';
import { changesOf, type HeaderChanges, type TemplateSubject } from '../upstream/header-changes.js';
import { Cors } from './cors.js';
import type { Caller, ExchangeRequest } from './exchange-request.js';
import { withSecurityHeaders } from './security-headers.js';

/** The rules of a route, prepared once. */
export interface RouteRules {
  readonly cors: Cors | undefined;
  readonly request: HeaderChanges;
  readonly response: HeaderChanges;
  readonly schemas: CompiledSchemas | undefined;
}

/** By route, outside of it, as they hold functions and routes are plain data. */
const known = new WeakMap<ExchangeRoute, RouteRules>();

/** The same object for the same route. */
export function rulesOf(route: ExchangeRoute): RouteRules {
  const found = known.get(route);
  if (found !== undefined) return found;
  const { cors, methods, requestHeaders, responseHeaders } = route;
  const schemas = route.kind === 'http' ? route.schemas : undefined;
  const made: RouteRules = {
    cors: cors && new Cors(cors, methods),
    request: changesOf(requestHeaders),
    response: changesOf(responseHeaders),
    schemas: schemas && compiledSchemas(schemas),
  };
  known.set(route, made);
  return made;
}

/** The values of placeholders in the templates of a route's headers. */
export function templateSubject({ client }: ExchangeRequest, { identity, token }: Caller): TemplateSubject {
  return {
    identity,
    // The token has been verified before.
    claims: () => (token === undefined ? undefined : decodeToken(token)?.claims),
    requestId: client.requestId,
  };
}

/** An answer's headers after the route's `securityHeaders`. */
export function safeHeaders(lines: FlatHeaders, { route, client }: ExchangeRequest): FlatHeaders {
  return route.securityHeaders ? withSecurityHeaders(lines, client.proto === 'https') : lines;
}

/**
 * An answer's headers after all rules of the route: `securityHeaders`, then `responseHeaders`, then CORS.
 * @param changed whether `responseHeaders` applies: not to errors of the gateway's own.
 */
export function answerHeaders(
  lines: FlatHeaders,
  request: ExchangeRequest,
  caller: Caller,
  changed: boolean,
): FlatHeaders {
  const { route, headers } = request;
  const { cors, response } = rulesOf(route);
  const safe = safeHeaders(lines, request);
  const own = changed && !response.none ? response.apply(safe, templateSubject(request, caller)) : safe;
  return cors === undefined ? own : cors.permit(own, headers);
}
