import {
  hasUpstreams,
  type Protocol,
  type Route,
  type RouteMatch,
  type RouteTable,
  type UpstreamRoute,
} from '../config.js';
import { deepFreeze } from '../deep-freeze.js';

/** Where clients of any prefix may connect, too (SPEC section 4). */
const MOUNT = '/ws';

/** What a route claims of the paths and protocols. */
export interface Claim {
  readonly prefix: string;
  readonly protocol: Protocol | undefined;
}

/** A frozen table over `routes`, in their order. Matching costs one comparison of prefixes per route. */
export function createRouteTable(routes: readonly Route[]): RouteTable {
  const rows = routes.map((route) => ({ route, inner: seesWithoutMount(route) }));
  return Object.freeze({
    routes: deepFreeze([...routes]),
    match: (path: string) => {
      const bare = withoutMount(path);
      const matches = [];
      for (const { route, inner } of rows) {
        const rest = isFallback(route) ? restOfMount(path) : restAfter(route.prefix, inner ? bare : path);
        if (rest !== undefined) matches.push({ route, rest });
      }
      return matches;
    },
  });
}

/**
 * What follows `prefix` in `path`, '' or with its leading `/`; undefined: the prefix does not fit. It fits on whole
 * segments; one that ends in `/` fits only what is below it.
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
 * The routes a WebSocket client can be on: those up to the first that takes no handshakes, which is the one such a client
 * has come to.
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
 * The earlier claims because of which `later` would never be asked: one of them, or one per protocol, takes every path
 * and protocol that it fits. Empty: it is reachable.
 */
export function hiding<C extends Claim>(earlier: readonly C[], later: Claim): readonly C[] {
  const protocols: readonly Protocol[] = later.protocol === undefined ? ['mqtt', 'raw'] : [later.protocol];
  const takers = new Set<C>();
  for (const protocol of protocols) {
    const taker = earlier.find(
      (claim) =>
        (claim.protocol === undefined || claim.protocol === protocol) && covers(claim.prefix, later.prefix),
    );
    if (taker === undefined) return [];
    takers.add(taker);
  }
  return [...takers];
}

/**
 * Whether every path that fits `later` fits `earlier`. The shortest such path is `later` itself, and whatever fits below
 * it goes on with whole segments, so that one path decides. A prefix under the mount has only paths under the mount,
 * which other prefixes see without it (`/mqtt` takes all of `/ws/mqtt`); the other way round, `/mqtt` itself is left over.
 */
function covers(earlier: string, later: string): boolean {
  return restAfter(earlier, isUnderMount(earlier) ? later : withoutMount(later)) !== undefined;
}
