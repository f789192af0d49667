import { PROTOCOL_NAMES, type Protocol } from '../config/config.js';
import { type Exchanges, type LiveExchange, LONG_EXCHANGE_MS } from '../exchange/exchanges.js';
import type { LiveSession } from '../session/live-session.js';
import type { Sessions } from '../session/sessions.js';
import { firstPage, type Page } from './page.js';
import { invalid, readLimit, readParameters } from './parameters.js';
import { timeText } from './time.js';

/** A live session as the admin API shows it; null: not known (yet). */
export interface SessionInfo {
  readonly id: string;
  readonly state: LiveSession['state'];
  /** The client's address, from a trusted proxy where there is one. */
  readonly ip: string;
  readonly protocol: Protocol | 'http' | null;
  /** The route's prefix. */
  readonly route: string | null;
  readonly sub: string | null;
  readonly jti: string | null;
  /** When the 101 was sent, RFC 3339. */
  readonly connectedAt: string | null;
  /** `exp` of the token, RFC 3339. */
  readonly tokenExpiresAt: string | null;
}

export interface SessionQuery {
  readonly sub: string | undefined;
  readonly protocol: string | undefined;
  readonly route: string | undefined;
  readonly limit: number;
  /** The id of the last session of the page before; '': the first page. */
  readonly after: string;
}

/** Protocols to filter by; `http`: exchanges. */
const PROTOCOLS: readonly string[] = [...PROTOCOL_NAMES, 'http'];

/** @throws AdminRefusal 400 */
export function readSessionQuery(query: string): SessionQuery {
  const parameters = readParameters(query, ['sub', 'protocol', 'route', 'limit', 'cursor']);
  const protocol = parameters.get('protocol');
  if (protocol !== undefined && !PROTOCOLS.includes(protocol))
    throw invalid(`protocol must be one of ${PROTOCOLS.join(', ')}`);
  const after = parameters.get('cursor') ?? '';
  if (after !== '' && !SESSION_ID.test(after)) throw invalid('cursor is not one of ours');
  return {
    sub: parameters.get('sub'),
    protocol,
    route: parameters.get('route'),
    limit: readLimit(parameters.get('limit')),
    after,
  };
}

/** RFC 9562 §4, in lower case. */
export const SESSION_ID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/;

/**
 * Live sessions and long HTTP exchanges, ordered by id. Others that begin or end do not change the order, so
 * paging shows every session that lives throughout exactly once.
 */
export function listSessions(
  sessions: Sessions,
  exchanges: Exchanges,
  query: SessionQuery,
): Page<SessionInfo> {
  const both = function* () {
    yield* matching(sessions, query);
    if (query.protocol === undefined || query.protocol === 'http') yield* matchingExchanges(exchanges, query);
  };
  const { items, more } = firstPage<LiveSession | LiveExchange>(both(), query.limit, byId);
  return { items: items.map((item) => ('state' in item ? sessionInfo(item) : exchangeInfo(item))), more };
}

function* matchingExchanges(
  exchanges: Exchanges,
  { sub, route, after }: SessionQuery,
): Generator<LiveExchange> {
  for (const exchange of exchanges) {
    if (exchange.startedMs > performance.now() - LONG_EXCHANGE_MS || exchange.id <= after) continue;
    if (sub !== undefined && exchange.identity?.sub !== sub) continue;
    if (route !== undefined && exchange.route.prefix !== route) continue;
    yield exchange;
  }
}

function* matching(
  sessions: Sessions,
  { sub, protocol, route, after }: SessionQuery,
): Generator<LiveSession> {
  for (const session of sub === undefined ? sessions : sessions.ofSubject(sub)) {
    if (session.id <= after) continue;
    if (protocol !== undefined && session.protocol !== protocol) continue;
    if (route !== undefined && session.route?.prefix !== route) continue;
    yield session;
  }
}

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : 1;
}

function sessionInfo({ id, state, ip, protocol, route, identity, acceptedMs }: LiveSession): SessionInfo {
  return {
    id,
    state,
    ip,
    protocol: protocol ?? null,
    route: route?.prefix ?? null,
    sub: identity?.sub ?? null,
    jti: identity === undefined || identity.jti === '' ? null : identity.jti,
    connectedAt: acceptedMs === undefined ? null : timeText(performance.timeOrigin + acceptedMs),
    tokenExpiresAt: expiryText(identity),
  };
}

function exchangeInfo({ id, ip, route, identity, startedMs }: LiveExchange): SessionInfo {
  return {
    id,
    state: 'open',
    ip,
    protocol: 'http',
    route: route.prefix,
    sub: identity?.sub ?? null,
    jti: identity === undefined || identity.jti === '' ? null : identity.jti,
    connectedAt: timeText(performance.timeOrigin + startedMs),
    tokenExpiresAt: expiryText(identity),
  };
}

/** null: there is no identity, or a trusted header gave it, which does not expire. */
function expiryText(identity: { readonly exp: number } | undefined): string | null {
  return identity !== undefined && Number.isFinite(identity.exp) ? timeText(identity.exp * 1000) : null;
}
