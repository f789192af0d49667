import { withoutTokenParameters } from '../auth/identity/credentials.js';
import type { ExchangeRoute, RouteMatch } from '../config/config.js';
import { NO_CLIENT_RULES, NO_TOKEN_RULES } from '../config/config.js';
import { hasHttpRoutes } from '../config/routes/table.js';
import { GatewayError } from '../errors.js';
import { hasToken } from '../request/grammar.js';
import type { RequestHead } from '../request/head.js';
import { isForbiddenMethod } from '../request/methods.js';
import type { ClientWire } from './client-wire.js';
import { Exchange } from './exchange.js';
import type { ExchangeParts } from './exchange-parts.js';
import type { ExchangeRequest } from './exchange-request.js';
import { judgeMethod } from './methods.js';
import { ExchangeRefused } from './problem.js';
import { type RequestTarget, rawRestOf, requestTarget, withoutParameters } from './request-target.js';
import { rulesOf } from './route-rules.js';

/** Stands for a route where none fits. */
const NO_ROUTE: ExchangeRoute = Object.freeze({
  kind: 'respond',
  prefix: '_none',
  auth: 'public',
  requireRoles: [],
  tokens: NO_TOKEN_RULES,
  clients: NO_CLIENT_RULES,
  methods: undefined,
  requestHeaders: { set: [], remove: [] },
  responseHeaders: { set: [], remove: [] },
  securityHeaders: true,
  requestLimit: undefined,
  cors: undefined,
  maxBodyBytes: 0,
  respond: { status: 404, body: '', headers: [] },
});

/**
 * Takes in HTTP requests that are for no endpoint of the gateway's own: checks path, route and method (SPEC
 * section 17).
 */
export class Intake {
  constructor(readonly parts: ExchangeParts) {}

  /** Whether there are HTTP routes. */
  get present(): boolean {
    return hasHttpRoutes(this.parts.table());
  }

  /**
   * Takes a request whose head is valid.
   * @returns false for what is not for HTTP routes: a handshake, a path of a WebSocket route, or anything if
   *   there are no HTTP routes; and for what a wire without node:http cannot answer.
   */
  serve(wire: ClientWire, head: RequestHead): boolean {
    if (!this.present) return false;
    if (hasToken(head.headers.get('upgrade'), 'websocket')) return false;
    const judged = judgeRequest(head, this.parts);
    if (judged === undefined) return false;
    const { facts, refusal } = judged;
    if (facts.route.kind === 'files' && wire.node === undefined) return false;
    const exchange = new Exchange(this.parts, wire, facts);
    if (refusal === undefined) exchange.start();
    else exchange.turnAway(refusal);
    return true;
  }
}

/** A request and the route that it is for. */
export interface JudgedRequest {
  readonly facts: ExchangeRequest;
  /** Why it is refused before authentication; undefined: it is not. */
  readonly refusal: GatewayError | undefined;
}

/** Path, route and method. @returns undefined: it is for a WebSocket route to answer. */
export function judgeRequest(
  head: RequestHead,
  { credentials, proxies, table }: Pick<ExchangeParts, 'credentials' | 'proxies' | 'table'>,
): JudgedRequest | undefined {
  const { method, headers, query } = head;
  const client = proxies.client(head.peer, head.secure, headers);
  const matched = (path: string) => table().match(path, client.host)[0];
  const read = requestTarget(head.target, query, headers.get('host')?.[0] ?? '');
  const found = read && matched(read.path);
  const bare = read && withoutParameters(read.path);
  // `/admin;x`, matched by a wider route, could be served as `/admin` by its upstream: which route a path is
  // for must not depend on who reads it.
  const isMeant = found?.route.prefix.includes(';') === true;
  const strays = bare !== undefined && !isMeant && matched(bare)?.route !== found?.route;
  const target = strays ? undefined : read;
  const match = strays ? undefined : found;
  const route = match?.route;
  if (route?.kind === 'websocket' && !isForbiddenMethod(method)) return undefined;
  const path = target?.path ?? head.target;
  const rest = match?.rest ?? '';
  const facts: ExchangeRequest = {
    route: route === undefined || route.kind === 'websocket' ? NO_ROUTE : route,
    method,
    path,
    rest,
    rawRest: target === undefined ? rest : rawRestOf(target.rawPath, path, rest),
    query: withoutTokenParameters(query, credentials.queryNames),
    queryAsSent: query,
    isQueryEmpty: query === '' && head.hasQuery === true,
    headers,
    client,
  };
  return { facts, refusal: refusalOf(head, target, match) };
}

function refusalOf(
  { method, headers }: RequestHead,
  target: RequestTarget | undefined,
  match: RouteMatch | undefined,
): GatewayError | undefined {
  if (isForbiddenMethod(method)) return new GatewayError('ERR_METHOD_UNKNOWN', method);
  if (target === undefined) return new GatewayError('ERR_REQUEST_MALFORMED', 'path or query');
  if (match === undefined || match.route.kind === 'websocket')
    return new GatewayError('ERR_ROUTE_UNKNOWN', 'no route fits the path');
  const verdict = judgeMethod(method, methodsOf(match.route));
  // Preflights are answered whatever the route allows.
  if (verdict?.status !== 405 || rulesOf(match.route).cors?.preflight(method, headers) !== undefined)
    return undefined;
  return new ExchangeRefused('ERR_METHOD_NOT_ALLOWED', method, ['Allow', verdict.allow]);
}

/** A folder of files is only read, whatever the route says. */
function methodsOf({ kind, methods }: ExchangeRoute): readonly string[] | undefined {
  return kind === 'files' ? (methods ?? ['GET', 'HEAD']) : methods;
}
