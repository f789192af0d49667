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

/** The status a handshake is refused with before the limits are asked. */
export type HttpRefusal = 400 | 401 | 403 | 404 | 426;

/** A handshake whose route is not for its address. */
export interface AddressRefusal {
  readonly status: 403;
  /** For the log: an Origin gets that status, too. */
  readonly why: string;
}

/** What a handshake is held against. */
export interface ArrivalRules {
  readonly proxies: TrustedProxies;
  readonly origins: AllowedOrigins;
  /** JWT_SUBPROTOCOL_NAMES. */
  readonly subprotocolNames: readonly string[];
  /** The table in effect: `RouteTable.match`. */
  readonly match: RouteTable['match'];
  /** Whether a route takes that handshake, by what it says of requests: `handshakeFault`. */
  readonly takes: (
    match: RouteMatch<UpstreamRoute>,
    head: Pick<RequestHead, 'method' | 'query' | 'headers'>,
  ) => boolean;
}

/** A client whose opening handshake was found good, and what it says. */
export interface Arrival {
  /** Percent-decoded once. */
  readonly path: string;
  /** As it came, without its `?`. */
  readonly query: string;
  readonly headers: HeaderLines;
  readonly client: Client;
  /** The routes that fit the path, at least one, in table order. */
  readonly matches: readonly RouteMatch<UpstreamRoute>[];
  /** What Sec-WebSocket-Protocol offered, in order, without what carried a token. */
  readonly subprotocols: readonly string[];
  /** The token among them; undefined: there was none. */
  readonly announced?: AnnouncedToken | undefined;
}

/**
 * Judges an opening handshake in the order of SPEC section 4: path, route, handshake, origin, and then
 * whether the route is for that address. The limits come after it.
 * @param fault what `checkHandshake` says of it.
 */
export function judgeArrival(
  head: RequestHead,
  fault: 400 | 426 | undefined,
  rules: ArrivalRules,
): Arrival | HttpRefusal | AddressRefusal {
  const path = decodePath(head.target);
  if (path === undefined || (head.query !== '' && !/^[!-~]*$/.test(head.query))) return 400;
  // To some upstreams `//` is `/`: what a narrower route guards must not be reached through a wider one.
  const client = rules.proxies.client(head.peer, head.secure, head.headers);
  const fitting = path.includes('//') ? [] : rules.match(path, client.host);
  if (fitting.length === 0) return 404;
  if (fault !== undefined) return fault;
  const able = sessionMatches(fitting);
  if (able.length === 0) return 426;
  const scheme = client.isProtoKnown ? client.proto : undefined;
  if (!rules.origins.allows(head.headers.get('origin') ?? [], client.host, scheme)) return 403;
  // Where some of them let the address in, it depends on the protocol, which is found later.
  if (!able.some(({ route }) => admitsAddress(route.clients, client.ip)))
    return { status: 403, why: notForAddress(client.ip) };
  // Whoever does not come to the route that is meant must not come to a wider one behind it instead. Those
  // behind the first are met by clients of another protocol, which may not be known yet.
  const barred = able.findIndex(
    (match, at) => !isKnown(match.route, head.headers) || (at > 0 && !rules.takes(match, head)),
  );
  if (barred === 0) return 401;
  const { query, headers } = head;
  const offered = listElements(headers.get('sec-websocket-protocol'));
  const { subprotocols, announced } = readOffer(offered, rules.subprotocolNames);
  const matches = barred < 0 ? able : able.slice(0, barred);
  return { path, query, headers, client, matches, subprotocols, announced };
}

/** Whom a route gives a session of its upstream first (`bootstrap`, SPEC section 19) comes with a cookie. */
function isKnown(route: UpstreamRoute, headers: HeaderLines): boolean {
  const rule = route.kind === 'http' ? route.bootstrap : undefined;
  return rule === undefined || cookieOf(headers, rule.cookie) !== undefined;
}
