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

/** The status a handshake is refused with, beside those of the limits. */
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
  /** What the `methods` of a route have against a handshake; undefined: nothing. */
  readonly methodFault: (route: UpstreamRoute, method: string) => Error | undefined;
  /** What its `schemas` have against one; undefined: nothing. */
  readonly schemaFault: (
    match: RouteMatch<UpstreamRoute>,
    head: Pick<RequestHead, 'method' | 'query' | 'headers'>,
  ) => Error | undefined;
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
 * Judges an opening handshake in the order of SPEC sections 4 and 17: path, route, method, handshake, origin,
 * and then whether the route is for that address. The limits come after it, and then `judgeRoute`.
 * @param fault what `checkHandshake` says of it.
 * @returns an Error: what the route's `methods` have against it.
 */
export function judgeArrival(
  head: RequestHead,
  fault: 400 | 426 | undefined,
  rules: ArrivalRules,
): Arrival | Exclude<HttpRefusal, 401> | AddressRefusal | Error {
  const path = decodePath(head.target);
  if (path === undefined || (head.query !== '' && !/^[!-~]*$/.test(head.query))) return 400;
  // To some upstreams `//` is `/`: what a narrower route guards must not be reached through a wider one.
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
  // Where some of them let the address in, it depends on the protocol, which is found later.
  if (!able.some(({ route }) => admitsAddress(route.clients, client.ip)))
    return { status: 403, why: notForAddress(client.ip) };
  // Whoever does not come to the route that is meant must not come to a wider one behind it instead. Those
  // behind the first are met by clients of another protocol, which may not be known yet.
  const barred = able.findIndex(
    (match, at) =>
      at > 0 && (rules.methodFault(match.route, head.method) ?? judgeRoute(match, head, rules)) !== undefined,
  );
  const { query, headers } = head;
  const offered = listElements(headers.get('sec-websocket-protocol'));
  const { subprotocols, announced } = readOffer(offered, rules.subprotocolNames);
  const matches = barred < 0 ? able : able.slice(0, barred);
  return { path, query, headers, client, matches, subprotocols, announced };
}

/** What the route that a handshake has come to has against it, once no limit has; undefined: nothing. */
export function judgeRoute(
  match: RouteMatch<UpstreamRoute>,
  head: Pick<RequestHead, 'method' | 'query' | 'headers'>,
  rules: Pick<ArrivalRules, 'schemaFault'>,
): 401 | Error | undefined {
  return isKnown(match.route, head.headers) ? rules.schemaFault(match, head) : 401;
}

/** Whom a route gives a session of its upstream first (`bootstrap`, SPEC section 19) comes with a cookie. */
function isKnown(route: UpstreamRoute, headers: HeaderLines): boolean {
  const rule = route.kind === 'http' ? route.bootstrap : undefined;
  return rule === undefined || cookieOf(headers, rule.cookie) !== undefined;
}
