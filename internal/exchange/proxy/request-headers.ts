import { withoutTokenCookie, withoutTokenInReferer } from '../../auth/identity/credentials.js';
import type { CredentialsConfig, HeaderIdentityRule, HttpRoute } from '../../config/config.js';
import type { FlatHeaders } from '../../request/flat-headers.js';
import { listElements } from '../../request/grammar.js';
import { alikeName, headerName } from '../../request/header-names.js';
import { changesOf } from '../../upstream/header-changes.js';
import { upstreamHeaders } from '../../upstream/websocket/headers.js';
import type { Caller, ExchangeRequest } from '../exchange-request.js';
import { mayTrail } from './trailers.js';

const NONE: ReadonlySet<string> = new Set();
const NO_TRAILERS: FlatHeaders = [];
const NO_LINES: ReadonlyMap<string, readonly string[]> = new Map();

/**
 * The header lines that go upstream: the client's, in their order, without hop-by-hop headers, those that
 * only the gateway may set and those meant for the gateway alone; then the gateway's own (SPEC sections 8 and
 * 17). Host and framing are added elsewhere.
 * @param rawHeaders of the client, name and value by turns, as they came.
 */
export function requestHeaders(
  rawHeaders: readonly string[],
  { route, headers, client }: ExchangeRequest<HttpRoute>,
  { identity, token }: Caller,
  credentials: CredentialsConfig,
): FlatHeaders {
  const lines: FlatHeaders = [];
  const dropped = droppedNames(route, headers, credentials, token);
  const passesAuthorization = token === undefined && route.auth === 'public';
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const value = rawHeaders[at + 1] ?? '';
    const { lower, alike, passage } = headerName(name);
    if (passage === 'ours' || dropped.has(lower) || dropped.has(alike)) continue;
    if (passage === 'authorization' && !passesAuthorization) continue;
    if (lower === 'referer') {
      lines.push(name, withoutTokenInReferer(value, credentials.queryNames));
      continue;
    }
    if (passage === 'passes' || passage === 'authorization') {
      lines.push(name, value);
      continue;
    }
    const cookie = withoutTokenCookie([value], credentials.cookieName);
    if (cookie !== undefined) lines.push(name, cookie);
  }
  const facts = { protocol: 'raw', identity, client, headers: NO_LINES, cookie: undefined } as const;
  const bearer = route.forwardToken ? token : undefined;
  for (const [name, value] of upstreamHeaders(
    { ...facts, token: bearer, traceContext: client.traceContext },
    [],
  ))
    lines.push(name, value);
  lines.push('X-Real-IP', client.ip);
  return lines;
}

/**
 * Trailer lines that go upstream: those of the client's that may be trailers (RFC 9110 §6.5.1) and would pass
 * as headers; no cookies, and nothing that tells an identity.
 */
export function requestTrailers(
  rawTrailers: readonly string[],
  { route, headers }: ExchangeRequest<HttpRoute>,
  { token }: Caller,
  credentials: CredentialsConfig,
): FlatHeaders {
  if (rawTrailers.length === 0) return NO_TRAILERS;
  const dropped = droppedNames(route, headers, credentials, token);
  const changes = changesOf(route.requestHeaders);
  const lines: FlatHeaders = [];
  for (let at = 0; at < rawTrailers.length; at += 2) {
    const name = rawTrailers[at] ?? '';
    const { lower, alike } = headerName(name);
    if (!mayTrail(name) || dropped.has(lower) || dropped.has(alike) || changes.dropsOfRequest(name)) continue;
    lines.push(name, rawTrailers[at + 1] ?? '');
  }
  return lines;
}

/** Names that do not pass on this route or with this request, in lower case. */
function droppedNames(
  { auth, forwardHeaders }: HttpRoute,
  headers: ExchangeRequest['headers'],
  { headerNames }: CredentialsConfig,
  token: string | undefined,
): ReadonlySet<string> {
  const connection = headers.get('connection');
  const isCommon = connection?.length === 1 && connection[0]?.toLowerCase() === 'keep-alive';
  const hasNamed = connection !== undefined && !isCommon;
  const carriesToken = token !== undefined && headerNames.some((name) => name !== 'authorization');
  if (!hasNamed && !carriesToken && typeof auth !== 'object') return NONE;
  const dropped = new Set<string>();
  // RFC 9110 §7.6.1: headers that Connection names are hop-by-hop.
  if (hasNamed) for (const name of listElements(connection)) dropped.add(name.toLowerCase());
  if (carriesToken) for (const name of headerNames) dropped.add(name);
  if (typeof auth === 'object') for (const name of identityNames(auth)) dropped.add(name);
  for (const name of forwardHeaders) dropped.delete(name);
  return dropped;
}

function identityNames({ header, name, roles }: HeaderIdentityRule): string[] {
  return [header, name, roles].flatMap((each) => (each === undefined ? [] : [each, alikeName(each)]));
}
