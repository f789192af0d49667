/**
 * The shapes of a checked configuration. Every room may import this file, none may read the
 * environment. `environment.ts` makes a frozen `Config` from variables, `routes.ts` a `RouteTable` from YAML.
 */

import type { ProxySettings } from '../outbound/proxy.js';
import type { LogOptions } from '../telemetry/log/log.js';
import type { TracingOptions } from '../telemetry/traces/opening-trace.js';
import type { ALGORITHMS } from './algorithms.js';
import type { Route } from './route.js';

export * from './route.js';
export * from './route-access.js';
export * from './route-bootstrap.js';
export * from './route-schemas.js';
export * from './route-target.js';

/** Where verification keys come from: a key given outright comes before keys that are discovered. */
export type KeySource =
  | { readonly kind: 'jwks'; readonly url: string }
  | { readonly kind: 'issuer'; readonly issuer: string }
  | { readonly kind: 'pem'; readonly file: string }
  /** Each issuer of ISSUERS_FILE has its own. */
  | { readonly kind: 'issuers' }
  | { readonly kind: 'none' };

/** One that may be listed in JWT_VALID_ALGORITHMS. */
export type Algorithm = (typeof ALGORITHMS)[number];

/** A trusted issuer, and the rules for its tokens. */
export interface IssuerConfig {
  /** What routes call it; '' for the one of the environment. */
  readonly name: string;
  /** Required `iss`; undefined: not checked. */
  readonly issuer: string | undefined;
  readonly keySource: KeySource;
  /** One must be in `aud`; empty: not checked. */
  readonly audiences: readonly string[];
  readonly algorithms: readonly Algorithm[];
  /** Where roles are; undefined: in the places of SPEC section 7. */
  readonly rolesClaims: readonly string[] | undefined;
}

/** Token introspection (RFC 7662). */
export interface IntrospectionConfig {
  readonly url: string;
  /** `opaque`: for tokens that are no JWTs, and for all if there is no key source; `always`: for all. */
  readonly mode: 'opaque' | 'always';
  readonly clientId: string;
  /** Client authentication: RFC 6749 §2.3.1, or RFC 7523 §2.2 with a PEM private key. */
  readonly client: { readonly secret: string } | { readonly keyFile: string };
  /** Longest time for which an answer is valid; tokens of live sessions are then introspected again. */
  readonly cacheMs: number;
  /** How long after that a live session may stay while the endpoint fails. */
  readonly maxStaleMs: number;
}

/** Addresses of the gateway, and its listener. */
export interface ListenConfig {
  readonly host: string;
  readonly port: number;
  /** Where the gateway's own endpoints are; undefined: with everything else. */
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  /** Host names at which the gateway's own endpoints answer; empty: any. No variable sets it. */
  readonly ownHosts?: readonly string[];
  /** The listener; `auto` is decided at start, see `chooseListener`. */
  readonly listener: 'auto' | 'node' | 'uws';
  /** Processes sharing the port; `auto` has already become the number of cores. */
  readonly workers: number;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly compression: 'off' | 'shared' | 'dedicated';
}

export interface OpeningConfig {
  /** Entries of WS_ALLOWED_ORIGINS as written; undefined: only the origin of the request itself. */
  readonly allowedOrigins: readonly string[] | undefined;
  /** CIDRs or addresses whose X-Forwarded-* headers are believed. */
  readonly trustedProxies: readonly string[];
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
  readonly maxConnectionsPerSub: number;
  readonly maxSessionsPerToken: number;
  /** New sessions a second; 0: no limit. */
  readonly maxHandshakesPerSecond: number;
}

/** Names of the places that can carry a token; those of headers and sub-protocols are lower-case. */
export interface CredentialsConfig {
  readonly headerNames: readonly string[];
  readonly subprotocolNames: readonly string[];
  readonly cookieName: string;
  readonly queryNames: readonly string[];
}

/** The trusted issuers, and where their keys come from. */
export interface VerificationConfig {
  readonly keySource: KeySource;
  readonly jwksTtlMs: number;
  readonly jwksMaxStaleMs: number;
  readonly issuer: string | undefined;
  /** One must be in `aud`; empty: not checked. */
  readonly audiences: readonly string[];
  /** One must be `azp`; empty: not checked. */
  readonly authorizedParties: readonly string[];
  readonly algorithms: readonly Algorithm[];
  /** The issuers of ISSUERS_FILE, which are then the only ones; empty: it is not set. */
  readonly issuers: readonly IssuerConfig[];
  readonly rolesClaims: readonly string[] | undefined;
  readonly nameClaim: string;
  readonly scopeClaim: string;
  readonly clockSkewMs: number;
  readonly closeOnExpiry: boolean;
  /** undefined: no introspection. */
  readonly introspection: IntrospectionConfig | undefined;
  /** The proxy for requests that fetch keys or introspect tokens. */
  readonly proxies: ProxySettings;
}

export interface TokenCacheConfig {
  readonly store: 'memory' | 'redis' | 'postgres';
  readonly prefix: string;
  readonly maxEntries: number;
  /** CACHE_SECRET, which protects cache entries in a shared store; undefined: no shared store is used. */
  readonly secret: string | undefined;
}

export interface SessionConfig {
  readonly authTimeoutMs: number;
  readonly maxConnectBytes: number;
  readonly maxMessageBytes: number;
  readonly maxBufferedBytes: number;
  /** 0: off; likewise below. */
  readonly idleTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly controlTimeoutMs: number;
}

export interface UpstreamConfig {
  readonly dialTimeoutMs: number;
  /** Dial attempts in all, ≥ 1. */
  readonly dialAttempts: number;
  readonly dialIntervalMs: number;
  readonly failureThreshold: number;
  readonly openTimeoutMs: number;
  readonly healthcheckIntervalMs: number;
  /** Dials under way to one endpoint, ≥ 1. */
  readonly maxDialsPerEndpoint: number;
  readonly masking: 'zero' | 'random';
}

export interface RateLimitConfig {
  /** 0: off. */
  readonly perSecond: number;
  readonly burst: number;
  readonly bytesPerSecond: number;
}

export interface ShutdownConfig {
  readonly drainTimeoutMs: number;
  readonly hardLimitMs: number;
}

export interface TelemetryConfig extends LogOptions {
  /** Distinct values kept for a user-valued metric label, then `_other`. */
  readonly maxUsers: number;
}

/** The configuration of a gateway from its environment (SPEC section 2), checked and frozen. */
export interface Config {
  readonly routeFile: string;
  readonly rawBackendUrl: string | undefined;
  readonly mqttBackendUrl: string | undefined;
  /** Names of variables that fixed answers may show. */
  readonly respondVariables: readonly string[];
  /**
   * The environment of commands that the gateway runs: its own, without the gateway's variables, some of
   * which are secrets.
   */
  readonly commandEnvironment: Readonly<Record<string, string>>;
  readonly listen: ListenConfig;
  readonly opening: OpeningConfig;
  readonly credentials: CredentialsConfig;
  readonly verification: VerificationConfig;
  readonly tokenCache: TokenCacheConfig;
  /** One URL, or several of a cluster; empty: no Redis. */
  readonly redisUrls: readonly string[];
  readonly postgresDsn: string | undefined;
  readonly revocationTtlMs: number;
  /** Logout by the provider; undefined: off. */
  readonly backchannel:
    | { /** Empty: an issuer's own audiences. */ readonly clientIds: readonly string[] }
    | undefined;
  readonly session: SessionConfig;
  readonly upstream: UpstreamConfig;
  readonly rateLimit: RateLimitConfig;
  readonly shutdown: ShutdownConfig;
  readonly adminToken: string | undefined;
  /** How long ended sessions are kept in Postgres; undefined: they are not. */
  readonly activity: { readonly keptMs: number } | undefined;
  /** Whether /discovery is served. */
  readonly discovery: boolean;
  readonly telemetry: TelemetryConfig;
  /** undefined: tracing is off. */
  readonly tracing: TracingOptions | undefined;
}

/** A route that fits a path. */
export interface RouteMatch<R extends Route = Route> {
  readonly route: R;
  /** What follows the prefix in the (decoded) path, with its leading `/` if any; '' when nothing does. */
  readonly rest: string;
}

export interface RouteTable {
  readonly routes: readonly Route[];
  /**
   * All routes that fit a decoded request path (SPEC sections 3, 4 and 17), in table order, each by its own
   * kind's path; empty: 404. Which one serves a session depends on the protocol found later.
   * @param host the Host the client asked for, with its port or without.
   */
  match(path: string, host: string): readonly RouteMatch[];
}
