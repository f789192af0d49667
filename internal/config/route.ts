import { PROTOCOL_NAMES } from '../protocol-names.js';
import type { ClientRules, RouteAuth, TokenRules } from './route-access.js';
import type { BootstrapRule } from './route-bootstrap.js';
import type { RouteSchemas } from './route-schemas.js';
import type { TargetedUpstream } from './route-target.js';

/** The shapes of a checked route of routes.yaml (SPEC sections 3, 17 to 21). Plain data, to be cloned. */

export { PROTOCOL_NAMES };
export type Protocol = (typeof PROTOCOL_NAMES)[number];

/** TLS towards a wss or https upstream, files already read. */
export interface RouteTls {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly serverName: string | undefined;
  readonly insecureSkipVerify: boolean;
}

/** Settings of every entry of the table. */
interface RouteEntry {
  /** As written; also the route's name in logs and metrics. */
  readonly prefix: string;
  readonly clients: ClientRules;
  readonly auth: RouteAuth;
  /** Empty: any role will do. */
  readonly requireRoles: readonly string[];
  readonly tokens: TokenRules;
}

/** Settings of entries with upstreams; any of them may serve WebSocket clients. */
interface UpstreamEntry extends RouteEntry {
  /** A route made of RAW_WS_BACKEND_URL or MQTT_WS_BACKEND_URL: fits plain `/ws` only. */
  readonly fallback: boolean;
  /** URLs, at least one unless there is a `target`: ws:// and wss://, on HTTP routes http:// and https://. */
  readonly upstreams: readonly string[];
  /** Of each upstream its share of the sessions, against that of the others; whole, ≥ 1. */
  readonly weights: readonly number[];
  /** undefined: the upstreams do not depend on the caller. */
  readonly target?: TargetedUpstream | undefined;
  readonly protocol: Protocol | undefined;
  readonly copySubProtocol: boolean;
  readonly preserveQuery: boolean;
  readonly appendPath: boolean;
  /** Whether the token goes upstream as `Authorization: Bearer`. */
  readonly forwardToken: boolean;
  /** Whether a token in a STOMP CONNECT or connection_init is left there, by the entry's forwardToken. */
  readonly keepGreetingToken: boolean;
  /** Lower-case. */
  readonly forwardHeaders: readonly string[];
  /** Messages; undefined: the global limit. */
  readonly rateLimit: { readonly perSecond: number; readonly burst: number } | undefined;
  readonly balance: 'round-robin' | 'least-sessions' | 'hash:sub';
  readonly health: { readonly path: string; readonly status: number } | undefined;
  readonly onRemove: 'keep' | 'close';
  /** Largest client message; undefined: the global limit. */
  readonly maxMessageBytes: number | undefined;
  readonly tls: RouteTls | undefined;
  readonly mqttRoles: 'none' | 'user-property' | 'username';
  /** Whether raw clients may renew their session with a token in a message (SPEC section 24). */
  readonly renew: boolean;
  /** What its file of JSON Schemas says (SPEC section 20), checked; undefined: there is none. */
  readonly schemas: RouteSchemas | undefined;
}

/** Changes of a head: first the names of `remove` are removed, then those of `set` replace what is there. */
export interface HeaderRules {
  /** Values may hold `{sub}`, `{name}`, `{roles}`, `{claim.x}`, `{requestId}`. */
  readonly set: readonly { readonly name: string; readonly value: string }[];
  /** Lower-case. */
  readonly remove: readonly string[];
}

/** SPEC section 17, `cors`. */
export interface CorsRule {
  /** Entries as in WS_ALLOWED_ORIGINS. */
  readonly origins: readonly string[];
  /** Upper-case; empty: those the route allows. */
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly expose: readonly string[];
  readonly credentials: boolean;
  readonly maxAgeSeconds: number | undefined;
}

/** Requests a subject or an address may make. */
export interface RequestLimit {
  readonly requests: number;
  /** In which `requests` are refilled: a second or a minute. */
  readonly perMs: number;
  readonly burst: number;
  readonly by: 'sub' | 'ip';
}

/** Settings of entries that serve HTTP requests. */
interface ExchangeEntry {
  /** Upper-case, HEAD with GET; undefined: all but CONNECT and TRACE. */
  readonly methods: readonly string[] | undefined;
  readonly requestHeaders: HeaderRules;
  readonly responseHeaders: HeaderRules;
  readonly securityHeaders: boolean;
  /** undefined: none. */
  readonly requestLimit: RequestLimit | undefined;
  readonly cors: CorsRule | undefined;
  /** Largest request body; 0: no limit. */
  readonly maxBodyBytes: number;
}

export interface WebSocketRoute extends UpstreamEntry {
  readonly kind: 'websocket';
  /** undefined: as everywhere. */
  readonly timeouts: {
    /** TCP, TLS and opening handshake with the upstream. */
    readonly connectMs: number | undefined;
    /** A silent peer; 0: off. */
    readonly idleMs: number | undefined;
    /** A peer that takes no byte; 0: off. */
    readonly writeMs: number | undefined;
  };
}

/** Requests pass to http:// and https:// upstreams (SPEC section 17). */
export interface HttpRoute extends UpstreamEntry, ExchangeEntry {
  readonly kind: 'http';
  readonly preserveHost: boolean;
  /** Whether opening handshakes are dialled as ws(s); false: 426. */
  readonly webSocket: boolean;
  readonly timeouts: {
    readonly connectMs: number;
    /** Until the head of the answer. */
    readonly answerMs: number;
    /** Without a byte either way. */
    readonly idleMs: number;
  };
  /** undefined: browsers are sent to the upstream as they are. */
  readonly bootstrap?: BootstrapRule | undefined;
}

/** A fixed answer; `body` is complete, its variables filled in. */
export interface RespondRoute extends RouteEntry, ExchangeEntry {
  readonly kind: 'respond';
  readonly respond: {
    readonly status: number;
    readonly body: string;
    readonly headers: readonly { readonly name: string; readonly value: string }[];
  };
}

export interface FilesRoute extends RouteEntry, ExchangeEntry {
  readonly kind: 'files';
  /** Absolute path of the folder. */
  readonly files: string;
}

export interface LogoutRoute extends RouteEntry, ExchangeEntry {
  readonly kind: 'logout';
  /** `redirect` undefined: 200 with a message. `everywhere`: all tokens of the subject. */
  readonly logout: { readonly redirect: string | undefined; readonly everywhere: boolean };
}

/** One entry of the table, by its kind. */
export type Route = WebSocketRoute | ExchangeRoute;

/** Routes that WebSocket sessions can be on. */
export type UpstreamRoute = WebSocketRoute | HttpRoute;

/** Whether a route has endpoints behind it. */
export function hasUpstreams(route: Route): route is UpstreamRoute {
  return route.kind === 'websocket' || route.kind === 'http';
}

/** Entries of two tables are one entry, changed or not, if this is equal. In a table no two have the same. */
export function routeName({ kind, fallback, protocol, clients, prefix }: UpstreamRoute): string {
  return `${kind} ${fallback} ${protocol ?? 'any'} ${clients.hosts.join()} ${prefix}`;
}

/** Routes that answer plain HTTP requests. */
export type ExchangeRoute = HttpRoute | RespondRoute | FilesRoute | LogoutRoute;
