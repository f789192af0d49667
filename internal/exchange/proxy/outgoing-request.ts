import type { CredentialsConfig, HttpRoute } from '../../config/config.js';
import type { DialTrace } from '../../telemetry/traces/dial-trace.js';
import type { HttpRequest } from '../../upstream/http/sending.js';
import type { Destination } from '../../upstream/pool/destination.js';
import type { ClientWire } from '../client-wire.js';
import type { Caller, ExchangeRequest } from '../exchange-request.js';
import { RequestBody } from '../request-body.js';
import { rulesOf, templateSubject } from '../route-rules.js';
import { requestHeaders, requestTrailers } from './request-headers.js';
import { upstreamPath } from './upstream-path.js';

/** The parts of an exchange that go upstream. */
export interface Outgoing {
  readonly caller: Caller;
  readonly wire: Pick<ClientWire, 'rawHeaders' | 'body'>;
  /** As a stream, or read whole; undefined: none. */
  readonly body: RequestBody | Buffer | undefined;
  readonly destination: Destination | undefined;
  readonly trace: DialTrace | undefined;
}

/** The request to the upstream. */
export function outgoingRequest(
  facts: ExchangeRequest<HttpRoute>,
  { caller, wire, body, destination, trace }: Outgoing,
  credentials: CredentialsConfig,
): HttpRequest {
  const { route } = facts;
  const length = facts.headers.get('content-length')?.[0];
  const passed = requestHeaders(wire.rawHeaders, facts, caller, credentials);
  const changes = rulesOf(route).request;
  const headers = changes.none ? passed : changes.applyToRequest(passed, templateSubject(facts, caller));
  const hasLength = body instanceof RequestBody && length !== undefined;
  if (hasLength) headers.push('Content-Length', length);
  return {
    method: facts.method,
    pathAt: (address) => upstreamPath(address, facts),
    headers,
    host: route.preserveHost ? facts.headers.get('host')?.[0] : undefined,
    body,
    hasLength,
    trailers:
      body === undefined
        ? undefined
        : () => requestTrailers(wire.body?.rawTrailers ?? [], facts, caller, credentials),
    identity: caller.identity,
    client: facts.client,
    destination,
    trace,
  };
}
