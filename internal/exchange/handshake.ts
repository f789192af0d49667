import { withoutTokenParameters } from '../auth/identity/credentials.js';
import type { HttpRoute } from '../config/config.js';
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
 * What HTTP routes say of a WebSocket handshake that comes to them: it reaches their upstream as a GET, which
 * may serve it as one, so that methods and schemas hold for it, too (SPEC sections 17 and 20). Where a schema
 * file has rules for JSON-RPC, handshakes are meant, and their messages are what is looked at.
 * @returns undefined: nothing.
 */
export function judgeHandshake(
  { method, target, query, headers, peer, secure }: RequestHead,
  { credentials, proxies, table }: Pick<ExchangeParts, 'credentials' | 'proxies' | 'table'>,
): Error | undefined {
  const path = decodePath(target);
  if (path === undefined) return undefined;
  const { host } = proxies.client(peer, secure, headers);
  try {
    for (const { route, rest } of sessionMatches(table().match(path, host))) {
      if (route.kind === 'http')
        judge(route, { method, rest, headers, query: withoutTokenParameters(query, credentials.queryNames) });
      // Nobody comes to those behind it.
      if (route.protocol === undefined) break;
    }
    return undefined;
  } catch (thrown) {
    return fromUnknown(thrown);
  }
}

/** @throws ExchangeRefused */
function judge(route: HttpRoute, asked: Parameters<typeof checkEndpoint>[1]): void {
  const verdict = judgeMethod(asked.method, route.methods);
  if (verdict?.status === 405)
    throw new ExchangeRefused('ERR_METHOD_NOT_ALLOWED', asked.method, ['Allow', verdict.allow]);
  const { schemas } = rulesOf(route);
  if (schemas !== undefined && schemas.rpc === undefined) checkEndpoint(schemas, asked);
}
