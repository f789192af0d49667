import {
  hasUpstreams,
  type Protocol,
  type Route,
  type RouteMatch,
  type RouteTable,
  type UpstreamRoute,
} from '../config.js';
import { deepFreeze } from '../deep-freeze.js';
import { fitsHosts, hostNameOf, hostsCover } from './hosts.js';

/** Where clients of any prefix may connect, too (SPEC section 4). */
const MOUNT = '/ws';

/** Who may come to a route: WebSocket clients of a protocol, or plain HTTP requests. */
export type ClientKind = Protocol | 'http';

/** What a route claims of the paths and clients. */
export interface Claim {
  readonly prefix: string;
  /** SPEC section 17: HTTP routes match the path as it is, WebSocket routes also behind the mount. */
  readonly mounted: boolean;
  readonly clients: readonly ClientKind[];
  /** Empty: any. */
  readonly hosts: readonly string[];
}

/** A frozen table over `routes`, in their order. Matching costs one comparison of prefixes per route. */
export function createRouteTable(routes: readonly Route[]): RouteTable {
  const rows = routes.map((route) => ({ route, inner: seesWithoutMount(route) }));
  const byHost = routes.some(({ clients }) => clients.hosts.length > 0);
  return Object.freeze({
    routes: deepFreeze([...routes]),
    match: (path: string, host: string) => {
      const bare = withoutMount(path);
      const name = byHost ? hostNameOf(host) : '';
      const matches = [];
      for (const { route, inner } of rows) {
        if (byHost && !fitsHosts(route.clients.hosts, name)) continue;
        const rest = isFallback(route) ? restOfMount(path) : restAfter(route.prefix, inner ? bare : path);
        if (rest !== undefined) matches.push({ route, rest });
      }
      return matches;
    },
  });
}

/**
 * What follows `prefix` in `path`, '' or with its leading `/`; undefined: the prefix does not fit. It fits on
 * whole segments; one that ends in `/` fits only what is below it.
 */
function restAfter(prefix: string, path: string): string | undefined {
  if (!path.startsWith(prefix)) return undefined;
  if (path.length === prefix.length) return '';
  if (prefix.endsWith('/')) return path.slice(prefix.length - 1);
  return path[prefix.length] === '/' ? path.slice(prefix.length) : undefined;
}

/** SPEC section 17: HTTP routes match the path as it is. */
function seesWithoutMount({ kind, prefix }: Route): boolean {
  return kind === 'websocket' && !isUnderMount(prefix);
}

/** Whether the backend variables made it. */
export function isFallback(route: Route): boolean {
  return hasUpstreams(route) && route.fallback;
}

function isUnderMount(path: string): boolean {
  return path === MOUNT || path.startsWith(`${MOUNT}/`);
}

/** The path as routes that do not name the mount see it: `/ws/x` as `/x`, `/ws` as `/`. */
function withoutMount(path: string): string {
  if (path === MOUNT) return '/';
  return isUnderMount(path) ? path.slice(MOUNT.length) : path;
}

/** A fallback serves the bare mount and nothing below it. */
function restOfMount(path: string): string | undefined {
  return path === MOUNT || path === `${MOUNT}/` ? '' : undefined;
}

/**
 * The one protocol whose clients a route is for; undefined: it is for all. Schemas of JSON-RPC make it one
 * for raw clients: in what passes for another protocol nobody looks for calls, and the upstream may find
 * some.
 */
export function soleProtocol({
  protocol,
  schemas,
}: Pick<UpstreamRoute, 'protocol' | 'schemas'>): Protocol | undefined {
  return protocol ?? (schemas?.rpc === undefined ? undefined : 'raw');
}

/** Whether some route answers plain HTTP requests. */
export function hasHttpRoutes({ routes }: Pick<RouteTable, 'routes'>): boolean {
  return routes.some(({ kind }) => kind !== 'websocket');
}

/** The largest client message that some route takes. @param byDefault that of routes which do not say. */
export function largestMessageBytes({ routes }: Pick<RouteTable, 'routes'>, byDefault: number): number {
  return routes.reduce(
    (largest, route) => Math.max(largest, hasUpstreams(route) ? (route.maxMessageBytes ?? 0) : 0),
    byDefault,
  );
}

/**
 * The routes a WebSocket client can be on: those up to the first that takes no handshakes, which is the one
 * such a client has come to.
 */
export function sessionMatches(matches: readonly RouteMatch[]): readonly RouteMatch<UpstreamRoute>[] {
  const able: RouteMatch<UpstreamRoute>[] = [];
  for (const { route, rest } of matches) {
    if (!hasUpstreams(route) || (route.kind === 'http' && !route.webSocket)) break;
    able.push({ route, rest });
  }
  return able;
}

/**
 * The earlier claims because of which `later` would never be asked: one of them, or one per kind of client
 * and host, takes every path and client that it fits. Empty: it is reachable.
 */
export function hiding<C extends Claim>(earlier: readonly C[], later: Claim): readonly C[] {
  const takers = new Set<C>();
  const hosts = later.hosts.length === 0 ? [undefined] : later.hosts;
  for (const client of later.clients)
    for (const path of shortestPaths(later))
      for (const host of hosts) {
        const taker = earlier.find(
          (claim) => claim.clients.includes(client) && hostsCover(claim.hosts, host) && covers(claim, path),
        );
        if (taker === undefined) return [];
        takers.add(taker);
      }
  return [...takers];
}

/** The shortest paths that fit a claim; whatever fits below them goes on with whole segments: they decide. */
function shortestPaths({ prefix, mounted }: Claim): readonly string[] {
  return mounted && !isUnderMount(prefix) ? [prefix, `${MOUNT}${prefix}`] : [prefix];
}

function covers({ prefix, mounted }: Claim, path: string): boolean {
  return restAfter(prefix, mounted && !isUnderMount(prefix) ? withoutMount(path) : path) !== undefined;
}
