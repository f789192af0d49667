import type { IncomingMessage, ServerResponse } from 'node:http';
import { withoutTokenParameters } from '../auth/identity/credentials.js';
import type { ExchangeRoute, RouteMatch } from '../config/config.js';
import { GatewayError } from '../errors.js';
import { hasToken } from '../request/grammar.js';
import type { RequestHead } from '../request/head.js';
import { Exchange } from './exchange.js';
import type { ExchangeParts } from './exchange-parts.js';
import type { ExchangeRequest } from './exchange-request.js';
import { ExchangeRefused } from './problem.js';
import { type RequestTarget, rawRestOf, requestTarget } from './request-target.js';

/** Offered to nobody (RFC 9110 §9.3.6, §9.3.8). */
const NEVER: ReadonlySet<string> = new Set(['CONNECT', 'TRACE']);

/** Stands for a route where none fits. */
const NO_ROUTE: ExchangeRoute = Object.freeze({
  kind: 'respond',
  prefix: '_none',
  auth: 'public',
  requireRoles: [],
  tokens: undefined,
  methods: undefined,
  requestHeaders: { set: [], remove: [] },
  responseHeaders: { set: [], remove: [] },
  securityHeaders: true,
  requestLimit: undefined,
  cors: undefined,
  maxBodyBytes: 0,
  respond: { status: 404, body: '', headers: [] },
});

/** Where plain HTTP requests that no endpoint of the gateway's own takes come in: path, route, method (SPEC section 17). */
export class Intake {
  constructor(readonly parts: ExchangeParts) {}

  /**
   * Takes a request in charge, whose head was found good.
   * @param expectsContinue whether the client waits for a 100 before it sends its body.
   * @returns false for what HTTP routes have no part in: a handshake, a path that is a WebSocket route's, or any at all
   *   where there are none.
   */
  serve(
    request: IncomingMessage,
    response: ServerResponse,
    head: RequestHead,
    expectsContinue: boolean,
  ): boolean {
    const table = this.parts.table();
    if (!table.routes.some(({ kind }) => kind !== 'websocket')) return false;
    if (hasToken(head.headers.get('upgrade'), 'websocket')) return false;
    const target = requestTarget(head.target, head.query, head.headers.get('host')?.[0] ?? '');
    const match = target && table.match(target.path)[0];
    if (match?.route.kind === 'websocket') return false;
    const facts = this.#facts(head, target, match);
    const exchange = new Exchange(this.parts, request, response, facts, expectsContinue);
    const refusal = refusalOf(head.method, target, match);
    if (refusal === undefined) exchange.start();
    else exchange.turnAway(refusal);
    return true;
  }

  #facts(
    head: RequestHead,
    target: RequestTarget | undefined,
    match: RouteMatch | undefined,
  ): ExchangeRequest {
    const { method, headers, peer, secure, query } = head;
    const path = target?.path ?? head.target;
    const rest = match?.rest ?? '';
    const { queryNames } = this.parts.credentials;
    return {
      route: match === undefined || match.route.kind === 'websocket' ? NO_ROUTE : match.route,
      method,
      path,
      rest,
      rawRest: target === undefined ? rest : rawRestOf(target.rawPath, path, rest),
      query: withoutTokenParameters(query, queryNames),
      queryAsSent: query,
      headers,
      client: this.parts.proxies.client(peer, secure, headers),
    };
  }
}

function refusalOf(
  method: string,
  target: RequestTarget | undefined,
  match: RouteMatch | undefined,
): GatewayError | undefined {
  if (NEVER.has(method)) return new GatewayError('ERR_METHOD_UNKNOWN', method);
  if (target === undefined) return new GatewayError('ERR_REQUEST_MALFORMED', 'path or query');
  if (match === undefined || match.route.kind === 'websocket')
    return new GatewayError('ERR_ROUTE_UNKNOWN', 'no route fits the path');
  const { methods } = match.route;
  if (methods === undefined || methods.includes(method)) return undefined;
  return new ExchangeRefused('ERR_METHOD_NOT_ALLOWED', method, ['Allow', methods.join(', ')]);
}
