import { type AnnouncedToken, readOffer } from '../auth/identity/announced-token.js';
import type { RouteMatch, RouteTable, UpstreamRoute } from '../config/config.js';
import { sessionMatches } from '../config/routes/table.js';
import { cookieOf } from '../request/cookies.js';
import type { Client, TrustedProxies } from '../request/forwarded.js';
import { listElements } from '../request/grammar.js';
import type { HeaderLines, RequestHead } from '../request/head.js';
import type { AllowedOrigins } from '../request/origin.js';
import { decodePath } from '../request/path.js';
import { admitsAddress, notForAddress } from './client-addresses.js';

/** The status with which a handshake is refused, apart from those of the limits. */
export type HttpRefusal = 400 | 401 | 403 | 404 | 426;

/** The refusal of a handshake whose address the route does not admit. */
export interface AddressRefusal {
  readonly status: 403;
  /** For the log, as a wrong Origin is answered with the same status. */
  readonly why: string;
}

/** What a handshake is checked against. */
export interface ArrivalRules {
  readonly proxies: TrustedProxies;
  readonly origins: AllowedOrigins;
  /** JWT_SUBPROTOCOL_NAMES. */
  readonly subprotocolNames: readonly string[];
  /** The table in effect: `RouteTable.match`. */
  readonly match: RouteTable['match'];
  /** Why the `methods` of a route refuse a handshake; undefined: they do not. */
  readonly methodFault: (route: UpstreamRoute, method: string) => Error | undefined;
  /** Likewise for its `schemas`. */
  readonly schemaFault: (
    match: RouteMatch<UpstreamRoute>,
    head: Pick<RequestHead, 'method' | 'query' | 'headers'>,
  ) => Error | undefined;
}

/** A valid opening handshake. */
export interface Arrival {
  /** Percent-decoded once. */
  readonly path: string;
  /** As received, without its `?`. */
  readonly query: string;
  readonly headers: HeaderLines;
  readonly client: Client;
  /** The routes that match the path, at least one, in table order. */
  readonly matches: readonly RouteMatch<UpstreamRoute>[];
  /** The sub-protocols offered, in order, without those that carried a token. */
  readonly subprotocols: readonly string[];
  /** The token among them; undefined: there was none. */
  readonly announced?: AnnouncedToken | undefined;
}

/**
 * Checks an opening handshake in the order of SPEC sections 4 and 17: path, route, method, handshake, origin,
 * client address. The limits are checked after it, and then `judgeRoute`.
 * @param fault the result of `checkHandshake`.
 * @returns an Error if the `methods` of the route refuse it.
 */
export function judgeArrival(
  head: RequestHead,
  fault: 400 | 426 | undefined,
  rules: ArrivalRules,
): Arrival | Exclude<HttpRefusal, 401> | AddressRefusal | Error {
  const path = decodePath(head.target);
  if (path === undefined || (head.query !== '' && !/^[!-~]*$/.test(head.query))) return 400;
  // Some upstreams read `//` as `/`: a path that a narrower route guards must not be reached by a wider one.
  const client = rules.proxies.client(head.peer, head.secure, head.headers);
  const fitting = path.includes('//') ? [] : rules.match(path, client.host);
  if (fitting.length === 0) return 404;
  const able = sessionMatches(fitting);
  const [first] = able;
  const unfit = first && rules.methodFault(first.route, head.method);
  if (unfit !== undefined) return unfit;
  if (fault !== undefined) return fault;
  if (first === undefined) return 426;
  const scheme = client.isProtoKnown ? client.proto : undefined;
  if (!rules.origins.allows(head.headers.get('origin') ?? [], client.host, scheme)) return 403;
  // If only some routes admit the address, the protocol decides, which is not known yet.
  if (!able.some(({ route }) => admitsAddress(route.clients, client.ip)))
    return { status: 403, why: notForAddress(client.ip) };
  const { query, headers } = head;
  const offered = listElements(headers.get('sec-websocket-protocol'));
  const { subprotocols, announced } = readOffer(offered, rules.subprotocolNames);
  const matches = [first, ...unbarred(able.slice(1), head, rules)];
  return { path, query, headers, client, matches, subprotocols, announced };
}

/**
 * The routes of a client that has waited since its handshake: another table may be in effect by now. Empty:
 * it has none any more.
 */
export function matchesNow(
  { path, query, headers, client }: Arrival,
  rules: Pick<ArrivalRules, 'match' | 'methodFault' | 'schemaFault'>,
): Arrival['matches'] {
  return unbarred(sessionMatches(rules.match(path, client.host)), { method: 'GET', query, headers }, rules);
}

/**
 * The routes before the first that refuses the handshake: a client that its own route bars must not fall
 * through to a wider route behind it. Those behind the first are for clients of another protocol, which may
 * not be known yet.
 */
function unbarred(
  matches: Arrival['matches'],
  head: Pick<RequestHead, 'method' | 'query' | 'headers'>,
  rules: Pick<ArrivalRules, 'methodFault' | 'schemaFault'>,
): Arrival['matches'] {
  const barred = matches.findIndex(
    (match) => (rules.methodFault(match.route, head.method) ?? judgeRoute(match, head, rules)) !== undefined,
  );
  return barred < 0 ? matches : matches.slice(0, barred);
}

/** Why the route of a handshake refuses it, after the limits were checked; undefined: it does not. */
export function judgeRoute(
  match: RouteMatch<UpstreamRoute>,
  head: Pick<RequestHead, 'method' | 'query' | 'headers'>,
  rules: Pick<ArrivalRules, 'schemaFault'>,
): 401 | Error | undefined {
  return isKnown(match.route, head.headers) ? rules.schemaFault(match, head) : 401;
}

/** Whether the client has the cookie that `bootstrap` sets on a first visit (SPEC section 19). */
function isKnown(route: UpstreamRoute, headers: HeaderLines): boolean {
  const rule = route.kind === 'http' ? route.bootstrap : undefined;
  return rule === undefined || cookieOf(headers, rule.cookie) !== undefined;
}
