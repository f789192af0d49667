import { withoutTokenParameters } from '../auth/identity/credentials.js';
import type { CredentialsConfig, RouteMatch, UpstreamRoute } from '../config/config.js';
import { sessionMatches } from '../config/routes/table.js';
import { fromUnknown } from '../errors.js';
import type { RequestHead } from '../request/head.js';
import { decodePath } from '../request/path.js';
import type { ExchangeParts } from './exchange-parts.js';
import { judgeMethod } from './methods.js';
import { ExchangeRefused } from './problem.js';
import { rulesOf } from './route-rules.js';
import { checkEndpoint } from './schema/gate.js';

/**
 * Why the first route that a WebSocket handshake comes to refuses it; see `handshakeFault`.
 * @returns undefined: nothing.
 */
export function judgeHandshake(
  head: RequestHead,
  { credentials, proxies, table }: Pick<ExchangeParts, 'credentials' | 'proxies' | 'table'>,
): Error | undefined {
  const path = decodePath(head.target);
  if (path === undefined) return undefined;
  const { host } = proxies.client(head.peer, head.secure, head.headers);
  const [first] = sessionMatches(table().match(path, host));
  return first && handshakeFault(first, head, credentials);
}

/**
 * Why an HTTP route refuses a WebSocket handshake. A handshake reaches the upstream as a GET, which may be
 * served as one, so the route's methods and schemas hold for it, too (SPEC sections 17 and 20); but not where
 * the schema file has rules for JSON-RPC, which are for the messages of WebSockets.
 * @returns undefined: nothing.
 */
export function handshakeFault(
  { route, rest }: RouteMatch<UpstreamRoute>,
  { method, query, headers }: Pick<RequestHead, 'method' | 'query' | 'headers'>,
  { queryNames }: Pick<CredentialsConfig, 'queryNames'>,
): Error | undefined {
  if (route.kind !== 'http') return undefined;
  const verdict = judgeMethod(method, route.methods);
  if (verdict?.status === 405)
    return new ExchangeRefused('ERR_METHOD_NOT_ALLOWED', method, ['Allow', verdict.allow]);
  const { schemas } = rulesOf(route);
  if (schemas === undefined || schemas.rpc !== undefined) return undefined;
  try {
    checkEndpoint(schemas, { method, rest, headers, query: withoutTokenParameters(query, queryNames) });
    return undefined;
  } catch (thrown) {
    return fromUnknown(thrown);
  }
}
