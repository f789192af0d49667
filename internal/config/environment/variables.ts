import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { isSentinelUrl } from '../../dsn/redis.js';
import { isFramingHeader } from '../../request/own-headers.js';
import { ACCESS_CHOICES, LOG_LEVELS } from '../../telemetry/log/log.js';
import type { SamplerName } from '../../telemetry/traces/opening-trace.js';
import { ALGORITHMS } from '../algorithms.js';
import type { Algorithm } from '../config.js';
import { isAddressOrCidr, isHostName, isName, isOriginPattern, isUpstreamUrl, isUrl } from '../syntax.js';
import {
  boolean,
  decimal,
  duration,
  list,
  MAX_KEPT_SECONDS,
  MAX_SUMMED_SECONDS,
  MAX_TIMER_SECONDS,
  mapped,
  oneOf,
  pairs,
  type Reader,
  Refused,
  text,
  wholeNumber,
} from './readers.js';

/** An environment variable. Unset and empty are the same. */
export interface Variable<T> {
  readonly reader: Reader<T>;
  /** Read like a value of the operator's; none: undefined when unset. */
  readonly default?: string;
  /** Read too, and first, under its name in small letters. */
  readonly inSmallLetters?: true;
  /** Its value is never printed, and `<name>_FILE` may name a file that holds it. */
  readonly secret?: true;
}

/** uWebSockets.js and V8 keep sizes in 32 bits; 1 GiB leaves room for what is added to them. */
export const MAX_BYTES = 1_073_741_824;
const bytes = wholeNumber(1, MAX_BYTES);
const seconds = duration('seconds', { min: 0, max: MAX_TIMER_SECONDS });
/** Shorter ones would drop peers between two pings, longer ones outlive what is between us and them. */
export const IDLE_SECONDS = { min: 8, max: 960 } as const;
const summedSeconds = duration('seconds', { min: 0, max: MAX_SUMMED_SECONDS });
const keptSeconds = duration('seconds', { min: 0, max: MAX_KEPT_SECONDS });
const limit = wholeNumber(0);

const file = text('the path of a file', /^[^\0]+$/);
const printable = text('printable ASCII text', /^[ -~]+$/);
const token = text('an HTTP token (RFC 9110 §5.6.2)', isName);
const tokenHeader = text(
  'the name of a header, not Cookie, Host, hop-by-hop, Sec-WebSocket-*',
  (value) => isName(value) && !isFramingHeader(value) && value.toLowerCase() !== 'cookie',
);
const hostName = text('a host name or IP address', (value) => isHostName(value) || isIP(value) !== 0);
const upstreamUrl = text('a ws:// or wss:// URL without credentials and fragment', isUpstreamUrl);
const httpUrl = text('an http:// or https:// URL without credentials and fragment', (value) =>
  isUrl(value, { schemes: ['http', 'https'], credentials: false }),
);
const proxy = text('host:port, or an http:// or https:// URL', (value) =>
  isUrl(value.includes('://') ? value : `http://${value}`, { schemes: ['http', 'https'], credentials: true }),
);
const redisUrl = text(
  'a redis:// or rediss:// URL with a host',
  (value) =>
    isUrl(value, { schemes: ['redis', 'rediss'], credentials: true }) && new URL(value).hostname !== '',
);
const redisServers = list(redisUrl);
const redis: Reader<readonly string[]> = {
  allowed: `${redisServers.allowed}; or one redis+sentinel://host:port,host:port/master`,
  read: (value) => (isSentinelUrl(value) ? [value] : redisServers.read(value)),
};
const postgresDsn = text('a postgres:// or postgresql:// URL', (value) =>
  isUrl(value, { schemes: ['postgres', 'postgresql'], credentials: true }),
);
/** What may stand in an answer to anybody must not be one of the gateway's own secrets. */
const variableName = text(
  'the name of an environment variable, none of those that hold secrets of the gateway',
  (name) => /^[A-Za-z_]\w*$/.test(name) && !isSecret(name),
);
const originPattern = text(
  '*, null, file://, or a host with https://, http:// or the scheme of an app before it (or none) and :port after it (or not); *. before the host, * as port',
  isOriginPattern,
);
const headerPairs = pairs(
  'a header name, = and its value: printable ASCII, percent-encoded where it holds a comma',
  (name, value) => isName(name) && /^[ -~]*$/.test(value),
);
const attributePairs = pairs(
  'an attribute name, = and its value, percent-encoded where it holds a comma',
  (name, value) => /^[!-~]{1,256}$/.test(name) && /^\P{Cc}*$/u.test(value),
);
const queryName = text('a parameter name: printable ASCII without space & = # % + ?', /^[!"$'-*,-<>@-~]+$/);

const algorithm: Reader<Algorithm> = oneOf(...ALGORITHMS);
const claim = text('the name of a claim, or a path of names with dots between them', /^[!-~]{1,256}$/);

/** Of OpenTelemetry's samplers those that are offered. */
export const SAMPLERS: readonly SamplerName[] = [
  ...(['always_on', 'always_off', 'traceidratio'] as const),
  ...(['parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'] as const),
];
export const DEFAULT_SAMPLER = 'parentbased_always_on' satisfies SamplerName;
/** What the specification knows and is not offered is a warning, no error: a platform may set it for all. */
const sampler: Reader<string> = { ...printable, allowed: oneOf(...SAMPLERS).allowed };
const samplerArgument = decimal(1);

const MAX_WORKERS = 512;
const count = wholeNumber(1, MAX_WORKERS);
const workers: Reader<number> = {
  allowed: `auto (one per core) or ${count.allowed}`,
  read: (value) => (value === 'auto' ? Math.min(availableParallelism(), MAX_WORKERS) : count.read(value)),
};

/** The largest age of keys in minutes. */
const MAX_STALE_MINUTES = MAX_KEPT_SECONDS / 60;
const MAX_TTL_MINUTES = Math.floor(MAX_TIMER_SECONDS / 60);

/**
 * Every variable the gateway reads, as SPEC section 2 lists them. docs/configuration.md
 * and .env.example follow it.
 */
export const VARIABLES = Object.freeze({
  HOST: { reader: hostName, default: '0.0.0.0' },
  PORT: { reader: wholeNumber(0, 65_535), default: '8080' },
  ADMIN_HOST: { reader: hostName },
  ADMIN_PORT: { reader: wholeNumber(0, 65_535) },
  LISTENER: { reader: oneOf('auto', 'node', 'uws'), default: 'auto' },
  WORKERS: { reader: workers, default: '1' },
  CONFIG_FILE: { reader: file },
  ROUTE_FILE: { reader: file, default: '/etc/ws-gw/routes.yaml' },
  INGRESS_HOST: { reader: hostName },
  RAW_WS_BACKEND_URL: { reader: upstreamUrl },
  MQTT_WS_BACKEND_URL: { reader: upstreamUrl },
  RESPOND_VARIABLES: { reader: list(variableName), default: 'NODE_NAME' },
  WS_ALLOWED_ORIGINS: { reader: list(originPattern) },
  TRUSTED_PROXIES: {
    reader: list(text('an IP address or CIDR', isAddressOrCidr)),
    default: '127.0.0.0/8,::1/128',
  },
  JWT_COOKIE_NAME: { reader: token, default: 'session' },
  JWT_HEADER_NAMES: {
    reader: list(mapped(tokenHeader, (name) => name.toLowerCase())),
    default: 'Authorization',
  },
  JWT_SUBPROTOCOL_NAMES: {
    reader: list(mapped(token, (name) => name.toLowerCase())),
    default: 'bearer,access_token',
  },
  JWT_QUERY_NAMES: { reader: list(queryName), default: 'token' },
  JWKS_URL: { reader: httpUrl },
  JWT_PUBLIC_KEY_FILE: { reader: file },
  JWKS_TTL_MINUTES: {
    reader: duration('minutes', { min: undefined, max: MAX_TTL_MINUTES }),
    default: '10',
  },
  JWKS_MAX_STALE_MINUTES: {
    reader: duration('minutes', { min: 0, max: MAX_STALE_MINUTES }),
    default: '1440',
  },
  JWT_EXPECTED_ISSUER: { reader: printable },
  JWT_EXPECTED_AUDIENCE: { reader: list(printable) },
  JWT_EXPECTED_AZP: { reader: list(printable) },
  ISSUERS_FILE: { reader: file },
  JWT_ROLES_CLAIMS: { reader: list(claim) },
  JWT_NAME_CLAIM: { reader: claim, default: 'preferred_username' },
  JWT_SCOPE_CLAIM: { reader: claim, default: 'scope' },
  JWT_VALID_ALGORITHMS: { reader: list(algorithm), default: 'RS256' },
  JWT_CLOCK_SKEW_SECONDS: { reader: seconds, default: '5' },
  JWT_CLOSE_ON_EXPIRY: { reader: boolean, default: 'true' },
  INTROSPECTION_URL: { reader: httpUrl },
  INTROSPECTION: { reader: oneOf('opaque', 'always'), default: 'opaque' },
  INTROSPECTION_CLIENT_ID: { reader: printable },
  INTROSPECTION_CLIENT_SECRET: { reader: printable, secret: true },
  INTROSPECTION_CLIENT_KEY_FILE: { reader: file },
  INTROSPECTION_CACHE_SECONDS: {
    reader: duration('seconds', { min: undefined, max: MAX_TIMER_SECONDS }),
    default: '60',
  },
  INTROSPECTION_MAX_STALE_SECONDS: { reader: keptSeconds, default: '300' },
  JWT_CACHE_STORE: { reader: oneOf('memory', 'redis', 'postgres'), default: 'memory' },
  JWT_CACHE_PREFIX: {
    reader: text('1 to 128 printable ASCII characters without space', /^[!-~]{1,128}$/),
    default: 'jwt_cached_token_',
  },
  JWT_CACHE_MAX_ENTRIES: { reader: wholeNumber(1, 10_000_000), default: '100000' },
  CACHE_SECRET: { reader: printable, secret: true },
  REDIS_URL: { reader: redis, secret: true },
  POSTGRES_DSN: { reader: postgresDsn, secret: true },
  BACKCHANNEL_LOGOUT: { reader: boolean, default: 'false' },
  BACKCHANNEL_CLIENT_ID: { reader: list(printable) },
  REVOCATION_TTL_SECONDS: { reader: keptSeconds, default: '86400' },
  AUTH_TIMEOUT_SECONDS: { reader: seconds, default: '10' },
  MAX_CONNECT_BYTES: { reader: bytes, default: '65536' },
  MAX_MESSAGE_BYTES: { reader: bytes, default: '1048576' },
  MAX_BUFFERED_BYTES: { reader: bytes, default: '1048576' },
  MAX_CONNECTIONS: { reader: limit, default: '0' },
  MAX_CONNECTIONS_PER_IP: { reader: limit, default: '0' },
  MAX_SESSIONS_PER_TOKEN: { reader: limit, default: '0' },
  MAX_CONNECTIONS_PER_SUB: { reader: limit, default: '0' },
  MAX_HANDSHAKES_PER_SECOND: { reader: limit, default: '0' },
  MAX_DIALS_PER_ENDPOINT: { reader: wholeNumber(1), default: '128' },
  WS_IDLE_TIMEOUT_SECONDS: {
    reader: duration('seconds', { ...IDLE_SECONDS, zeroIsOff: true }),
    default: '60',
  },
  WS_WRITE_TIMEOUT_SECONDS: { reader: seconds, default: '10' },
  WS_CONTROL_TIMEOUT_SECONDS: { reader: seconds, default: '1' },
  WS_DIAL_TIMEOUT_SECONDS: { reader: seconds, default: '5' },
  WS_DIAL_RETRY_MAX: { reader: wholeNumber(1, 1000), default: '3' },
  WS_DIAL_RETRY_INTERVAL_SECONDS: { reader: seconds, default: '2' },
  CB_FAILURE_THRESHOLD: { reader: wholeNumber(1), default: '5' },
  CB_OPEN_TIMEOUT_SECONDS: { reader: seconds, default: '60' },
  CB_HEALTHCHECK_INTERVAL_SECONDS: { reader: summedSeconds, default: '30' },
  RATE_LIMIT_PER_SECOND: { reader: decimal(1_000_000_000), default: '10' },
  RATE_LIMIT_BURST: { reader: wholeNumber(0, 1_000_000_000), default: '30' },
  RATE_LIMIT_BYTES_PER_SECOND: { reader: limit, default: '0' },
  UPSTREAM_MASKING: { reader: oneOf('zero', 'random'), default: 'zero' },
  TLS_CERT_FILE: { reader: file },
  TLS_KEY_FILE: { reader: file },
  WS_COMPRESSION: { reader: oneOf('off', 'shared', 'dedicated'), default: 'off' },
  GRACEFUL_DRAIN_TIMEOUT_SECONDS: { reader: summedSeconds, default: '30' },
  SHUTDOWN_HARD_LIMIT: { reader: summedSeconds, default: '5' },
  ADMIN_TOKEN: { reader: text('printable ASCII without space', /^[!-~]+$/), secret: true },
  ACTIVITY_STORE: { reader: oneOf('none', 'postgres'), default: 'none' },
  ACTIVITY_DAYS: { reader: decimal(3_650), default: '30' },
  DISCOVERY: { reader: boolean, default: 'false' },
  METRICS_MAX_USERS: { reader: limit, default: '1000' },
  LOG_LEVEL: { reader: oneOf(...LOG_LEVELS), default: 'info' },
  LOG_FORMAT: { reader: oneOf('json', 'pretty'), default: 'json' },
  LOG_ACCESS: { reader: oneOf(...ACCESS_CHOICES), default: 'all' },
  HTTP_PROXY: { reader: proxy, inSmallLetters: true },
  HTTPS_PROXY: { reader: proxy, inSmallLetters: true },
  NO_PROXY: {
    reader: list(text('a host, an address, a CIDR or *', /^(?!.*:\/\/)[\w.*:[\]/-]+$/)),
    inSmallLetters: true,
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: { reader: httpUrl },
  OTEL_EXPORTER_OTLP_HEADERS: { reader: headerPairs, secret: true },
  OTEL_SERVICE_NAME: { reader: printable, default: 'ws-gateway' },
  OTEL_RESOURCE_ATTRIBUTES: { reader: attributePairs },
  OTEL_SDK_DISABLED: {
    // Whatever is not true means false, says the specification.
    reader: {
      allowed: 'true or false',
      read: (value) => value.toLowerCase() === 'true',
    } satisfies Reader<boolean>,
    default: 'false',
  },
  OTEL_TRACES_EXPORTER: { reader: { ...printable, allowed: 'otlp or none' }, default: 'otlp' },
  OTEL_TRACES_SAMPLER: { reader: sampler, default: DEFAULT_SAMPLER },
  OTEL_TRACES_SAMPLER_ARG: {
    // Of samplers that are not offered it is no number.
    reader: {
      allowed: samplerArgument.allowed,
      read: (value) => (/^[a-z]\w*=/i.test(value) ? undefined : samplerArgument.read(value)),
    } satisfies Reader<number | undefined>,
    default: '1',
  },
}) satisfies Readonly<Record<string, Variable<unknown>>>;

/** Whether the variable of that name holds a secret of the gateway's own. */
export function isSecret(name: string): boolean {
  const variables: Readonly<Record<string, Variable<unknown>>> = VARIABLES;
  return Object.hasOwn(variables, name) && variables[name]?.secret === true;
}

export type VariableName = keyof typeof VARIABLES;

type ValueOf<V> = V extends { reader: Reader<infer T> }
  ? V extends { default: string }
    ? T
    : T | undefined
  : never;

/** What the variables hold, by name; what is unset holds its default. */
export type Values = { readonly [N in VariableName]: ValueOf<(typeof VARIABLES)[N]> };

/** The value of `variable` for `given`, or for its default when nothing is given. */
export function readVariable<T>(variable: Variable<T>, given: string | undefined): T | undefined | Refused {
  const written = given ? given.trim() : variable.default;
  if (written === undefined) return undefined;
  return written === '' ? new Refused(given ?? '') : variable.reader.read(written);
}
