import type { IncomingMessage } from 'node:http';
import type { CredentialsConfig, HttpRoute } from '../config/config.js';
import type { HttpRequest } from '../upstream/http/sending.js';
import type { Caller, ExchangeRequest } from './exchange-request.js';
import { RequestBody } from './request-body.js';
import { requestHeaders, requestTrailers } from './request-headers.js';
import { rulesOf, templateSubject } from './route-rules.js';
import { upstreamPath } from './upstream-path.js';

/** What the upstream is asked. @param body as it comes, or read whole; undefined: none. */
export function outgoingRequest(
  facts: ExchangeRequest<HttpRoute>,
  caller: Caller,
  request: IncomingMessage,
  body: RequestBody | Buffer | undefined,
  credentials: CredentialsConfig,
): Omit<HttpRequest, 'destination'> {
  const { route } = facts;
  const { 'content-length': length, host } = request.headers;
  const passed = requestHeaders(request.rawHeaders, facts, caller, credentials);
  const changes = rulesOf(route).request;
  const headers = changes.none ? passed : changes.apply(passed, templateSubject(facts, caller));
  if (body instanceof RequestBody && length !== undefined) headers.push('Content-Length', length);
  return {
    method: facts.method,
    pathAt: (address) => upstreamPath(address, facts),
    headers,
    host: route.preserveHost ? host : undefined,
    body,
    trailers: () => requestTrailers(request.rawTrailers, facts, caller, credentials),
    identity: caller.identity,
    client: facts.client,
  };
}
