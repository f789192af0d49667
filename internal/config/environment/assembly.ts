import type { ProxySettings } from '../../outbound/proxy.js';
import type { TracingOptions } from '../../telemetry/traces/opening-trace.js';
import type {
  Config,
  IntrospectionConfig,
  IssuerConfig,
  KeySource,
  ListenConfig,
  RateLimitConfig,
} from '../config.js';
import { DEFAULT_SAMPLER, SAMPLERS, type Values } from './variables.js';

/**
 * The configuration that well-formed variables make.
 * @param issuers those of ISSUERS_FILE; none: it is not set.
 */
export function assemble(
  values: Values,
  issuers: readonly IssuerConfig[],
  commandEnvironment: Config['commandEnvironment'],
): Config {
  return {
    routeFile: values.ROUTE_FILE,
    rawBackendUrl: values.RAW_WS_BACKEND_URL,
    mqttBackendUrl: values.MQTT_WS_BACKEND_URL,
    respondVariables: values.RESPOND_VARIABLES,
    commandEnvironment,
    listen: {
      host: values.HOST,
      port: values.PORT,
      admin: adminAddress(values),
      listener: values.LISTENER,
      workers: values.WORKERS,
      tls:
        values.TLS_CERT_FILE === undefined || values.TLS_KEY_FILE === undefined
          ? undefined
          : { certFile: values.TLS_CERT_FILE, keyFile: values.TLS_KEY_FILE },
      compression: values.WS_COMPRESSION,
    },
    opening: {
      allowedOrigins: values.WS_ALLOWED_ORIGINS,
      trustedProxies: values.TRUSTED_PROXIES,
      maxConnections: values.MAX_CONNECTIONS,
      maxConnectionsPerIp: values.MAX_CONNECTIONS_PER_IP,
      maxConnectionsPerSub: values.MAX_CONNECTIONS_PER_SUB,
      maxSessionsPerToken: values.MAX_SESSIONS_PER_TOKEN,
      maxHandshakesPerSecond: values.MAX_HANDSHAKES_PER_SECOND,
    },
    credentials: {
      headerNames: values.JWT_HEADER_NAMES,
      subprotocolNames: values.JWT_SUBPROTOCOL_NAMES,
      cookieName: values.JWT_COOKIE_NAME,
      queryNames: values.JWT_QUERY_NAMES,
    },
    verification: {
      keySource: keySource(values),
      jwksTtlMs: values.JWKS_TTL_MINUTES,
      jwksMaxStaleMs: values.JWKS_MAX_STALE_MINUTES,
      issuer: values.JWT_EXPECTED_ISSUER,
      audiences: values.JWT_EXPECTED_AUDIENCE ?? [],
      authorizedParties: values.JWT_EXPECTED_AZP ?? [],
      algorithms: values.JWT_VALID_ALGORITHMS,
      issuers,
      rolesClaims: values.JWT_ROLES_CLAIMS,
      nameClaim: values.JWT_NAME_CLAIM,
      scopeClaim: values.JWT_SCOPE_CLAIM,
      clockSkewMs: values.JWT_CLOCK_SKEW_SECONDS,
      closeOnExpiry: values.JWT_CLOSE_ON_EXPIRY,
      introspection: introspection(values),
      proxies: proxies(values),
    },
    tokenCache: {
      store: values.JWT_CACHE_STORE,
      prefix: values.JWT_CACHE_PREFIX,
      maxEntries: values.JWT_CACHE_MAX_ENTRIES,
      secret: values.CACHE_SECRET,
    },
    redisUrls: values.REDIS_URL ?? [],
    postgresDsn: values.POSTGRES_DSN,
    revocationTtlMs: values.REVOCATION_TTL_SECONDS,
    backchannel: values.BACKCHANNEL_LOGOUT ? { clientIds: values.BACKCHANNEL_CLIENT_ID ?? [] } : undefined,
    session: {
      authTimeoutMs: values.AUTH_TIMEOUT_SECONDS,
      maxConnectBytes: values.MAX_CONNECT_BYTES,
      maxMessageBytes: values.MAX_MESSAGE_BYTES,
      maxBufferedBytes: values.MAX_BUFFERED_BYTES,
      idleTimeoutMs: values.WS_IDLE_TIMEOUT_SECONDS,
      writeTimeoutMs: values.WS_WRITE_TIMEOUT_SECONDS,
      controlTimeoutMs: values.WS_CONTROL_TIMEOUT_SECONDS,
    },
    upstream: {
      dialTimeoutMs: values.WS_DIAL_TIMEOUT_SECONDS,
      dialAttempts: values.WS_DIAL_RETRY_MAX,
      dialIntervalMs: values.WS_DIAL_RETRY_INTERVAL_SECONDS,
      failureThreshold: values.CB_FAILURE_THRESHOLD,
      openTimeoutMs: values.CB_OPEN_TIMEOUT_SECONDS,
      healthcheckIntervalMs: values.CB_HEALTHCHECK_INTERVAL_SECONDS,
      maxDialsPerEndpoint: values.MAX_DIALS_PER_ENDPOINT,
      masking: values.UPSTREAM_MASKING,
    },
    rateLimit: rateLimitOf(values),
    shutdown: {
      drainTimeoutMs: values.GRACEFUL_DRAIN_TIMEOUT_SECONDS,
      hardLimitMs: values.SHUTDOWN_HARD_LIMIT,
    },
    adminToken: values.ADMIN_TOKEN,
    activity: values.ACTIVITY_STORE === 'none' ? undefined : { keptMs: values.ACTIVITY_DAYS * 86_400_000 },
    discovery: values.DISCOVERY,
    telemetry: {
      logLevel: values.LOG_LEVEL,
      logFormat: values.LOG_FORMAT,
      logAccess: values.LOG_ACCESS,
      ingressHost: values.INGRESS_HOST,
      maxUsers: values.METRICS_MAX_USERS,
    },
    tracing: tracing(values),
  };
}

export function rateLimitOf(values: Values): RateLimitConfig {
  return {
    perSecond: values.RATE_LIMIT_PER_SECOND,
    burst: values.RATE_LIMIT_BURST,
    bytesPerSecond: values.RATE_LIMIT_BYTES_PER_SECOND,
  };
}

function proxies(values: Values): ProxySettings {
  return { http: values.HTTP_PROXY, https: values.HTTPS_PROXY, except: values.NO_PROXY ?? [] };
}

/** The address of the gateway's own endpoints; undefined: it is the one of everything else. */
export function adminAddress({ HOST, PORT, ADMIN_HOST, ADMIN_PORT }: Values): ListenConfig['admin'] {
  if (ADMIN_HOST === undefined && ADMIN_PORT === undefined) return undefined;
  const [host, port] = [ADMIN_HOST ?? HOST, ADMIN_PORT ?? PORT];
  // Port 0 is another one each time.
  return host === HOST && port === PORT && port !== 0 ? undefined : { host, port };
}

/** Whether OTEL_TRACES_EXPORTER, a comma list, names the one exporter that is offered. */
export function exportsOtlp({ OTEL_TRACES_EXPORTER: names }: Values): boolean {
  return names.split(',').some((name) => name.trim() === 'otlp');
}

function tracing(values: Values): TracingOptions | undefined {
  const endpoint = values.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (endpoint === undefined || values.OTEL_SDK_DISABLED || !exportsOtlp(values)) return undefined;
  return {
    endpoint,
    headers: values.OTEL_EXPORTER_OTLP_HEADERS ?? {},
    serviceName: values.OTEL_SERVICE_NAME,
    resource: values.OTEL_RESOURCE_ATTRIBUTES ?? {},
    sampler: SAMPLERS.find((name) => name === values.OTEL_TRACES_SAMPLER) ?? DEFAULT_SAMPLER,
    ratio: values.OTEL_TRACES_SAMPLER_ARG ?? 1,
    proxies: proxies(values),
  };
}

/** undefined where it is off, or where something of it is missing, which was refused before. */
function introspection(values: Values): IntrospectionConfig | undefined {
  const url = values.INTROSPECTION_URL;
  const clientId = values.INTROSPECTION_CLIENT_ID;
  const secret = values.INTROSPECTION_CLIENT_SECRET;
  const keyFile = values.INTROSPECTION_CLIENT_KEY_FILE;
  const client = secret !== undefined ? { secret } : keyFile === undefined ? undefined : { keyFile };
  if (url === undefined || clientId === undefined || client === undefined) return undefined;
  return {
    url,
    mode: values.INTROSPECTION,
    clientId,
    client,
    cacheMs: values.INTROSPECTION_CACHE_SECONDS,
    maxStaleMs: values.INTROSPECTION_MAX_STALE_SECONDS,
  };
}

/** A key given outright comes before keys that are discovered; both ways at once were refused before. */
function keySource(values: Values): KeySource {
  if (values.ISSUERS_FILE !== undefined) return { kind: 'issuers' };
  if (values.JWT_PUBLIC_KEY_FILE !== undefined) return { kind: 'pem', file: values.JWT_PUBLIC_KEY_FILE };
  if (values.JWKS_URL !== undefined) return { kind: 'jwks', url: values.JWKS_URL };
  if (values.JWT_EXPECTED_ISSUER !== undefined) return { kind: 'issuer', issuer: values.JWT_EXPECTED_ISSUER };
  return { kind: 'none' };
}
