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

/** One whose tokens are believed, and by which rules. */
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

/** Who says whether a token is good where its signature does not, or not alone (RFC 7662). */
export interface IntrospectionConfig {
  readonly url: string;
  /**
   * `opaque`: asked about tokens that are no JWTs, and about all where there is no key
   * source; `always`: about all.
   */
  readonly mode: 'opaque' | 'always';
  readonly clientId: string;
  /** How the gateway proves to be that client: RFC 6749 §2.3.1, or RFC 7523 §2.2 with a PEM private key. */
  readonly client: { readonly secret: string } | { readonly keyFile: string };
  /** An answer counts for so long at most; live sessions are then asked about again. */
  readonly cacheMs: number;
  /** How long past that a live session stays while nobody answers. */
  readonly maxStaleMs: number;
}

/** Where clients and operators come in, and who takes them. */
export interface ListenConfig {
  readonly host: string;
  readonly port: number;
  /** Where the gateway's own endpoints are; undefined: with everything else. */
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  /** Host names by which the gateway's own endpoints may be asked for; none: any. No variable sets it. */
  readonly ownHosts?: readonly string[];
  /** Who accepts clients; `auto` is decided at start, see `chooseListener`. */
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

/** Whose tokens are believed, and where what they are verified with comes from. */
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
  /** Those of ISSUERS_FILE, by which alone tokens are verified then; empty: there is none. */
  readonly issuers: readonly IssuerConfig[];
  readonly rolesClaims: readonly string[] | undefined;
  readonly nameClaim: string;
  readonly scopeClaim: string;
  readonly clockSkewMs: number;
  readonly closeOnExpiry: boolean;
  /** undefined: signatures alone count. */
  readonly introspection: IntrospectionConfig | undefined;
  /** For what is fetched to verify tokens. */
  readonly proxies: ProxySettings;
}

export interface TokenCacheConfig {
  readonly store: 'memory' | 'redis' | 'postgres';
  readonly prefix: string;
  readonly maxEntries: number;
  /** Protects what is in a shared store; undefined: none is used. */
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

/** All that the environment says of a gateway (SPEC section 2), checked and frozen. */
export interface Config {
  readonly routeFile: string;
  readonly rawBackendUrl: string | undefined;
  readonly mqttBackendUrl: string | undefined;
  /** Names of variables that fixed answers may show. */
  readonly respondVariables: readonly string[];
  /** What commands that the gateway runs are given: its environment without its variables, some secret. */
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
  /** Whether clients are told how to connect. */
  readonly discovery: boolean;
  readonly telemetry: TelemetryConfig;
  /** undefined: no traces. */
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
