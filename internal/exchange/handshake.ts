import { withoutTokenParameters } from '../auth/identity/credentials.js';
import type { CredentialsConfig, RouteMatch, UpstreamRoute } from '../config/config.js';
import { fromUnknown } from '../errors.js';
import type { RequestHead } from '../request/head.js';
import { judgeMethod } from './methods.js';
import { ExchangeRefused } from './problem.js';
import { rulesOf } from './route-rules.js';
import { checkEndpoint } from './schema/gate.js';

// A WebSocket handshake reaches the upstream of an HTTP route as a GET, which may be served as one: what the
// route says of requests holds for it, too (SPEC sections 17 and 20).

/** Why the `methods` of a route refuse a WebSocket handshake; undefined: they do not. */
export function methodFault(route: UpstreamRoute, method: string): Error | undefined {
  const verdict = route.kind === 'http' ? judgeMethod(method, route.methods) : undefined;
  return verdict?.status === 405
    ? new ExchangeRefused('ERR_METHOD_NOT_ALLOWED', method, ['Allow', verdict.allow])
    : undefined;
}

/**
 * Why its `schemas` refuse one; undefined: they do not. Those with rules for JSON-RPC are for the messages of
 * WebSockets, not for the handshake.
 */
export function schemaFault(
  { route, rest }: RouteMatch<UpstreamRoute>,
  { method, query, headers }: Pick<RequestHead, 'method' | 'query' | 'headers'>,
  { queryNames }: Pick<CredentialsConfig, 'queryNames'>,
): Error | undefined {
  if (route.kind !== 'http') return undefined;
  const { schemas } = rulesOf(route);
  if (schemas === undefined || schemas.rpc !== undefined) return undefined;
  try {
    checkEndpoint(schemas, { method, rest, headers, query: withoutTokenParameters(query, queryNames) });
    return undefined;
  } catch (thrown) {
    return fromUnknown(thrown);
  }
}
