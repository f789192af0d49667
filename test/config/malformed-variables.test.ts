import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEnvironment } from '../../internal/config/environment/environment.js';
import { VARIABLES, type VariableName } from '../../internal/config/environment/variables.js';
import { linesOf } from './files.js';

const NOT_COUNTS = [
  '-1',
  '1.5',
  'x',
  '1e3',
  '0x10',
  '1_000',
  ' ',
  '١',
  'NaN',
  'Infinity',
  '99999999999999999',
];
const NOT_SIZES = [...NOT_COUNTS, '0', '1073741825'];
const NOT_TIMES = ['-1', 'x', '1e3', '1,5', '.5', '5.', '5s', ' ', 'NaN', 'Infinity', '99999999999'];
const NOT_BOOLEANS = ['yes', '1', 'TRUE', ' '];
const NOT_UPSTREAMS = [
  'http://a',
  'ws//a',
  'ws://',
  'ws://a b',
  'ws://a\tb',
  'ws://a#b',
  'ws://a\\b',
  'ws://{sub}.a',
  'ws://a:99999',
  'localhost:80',
];
const NOT_FILES = ['a\0b'];

/** Values that each variable refuses. */
const BAD: Readonly<Record<VariableName, readonly string[]>> = {
  HOST: ['a b', 'http://a', '-a', 'a..b', '[::1]', 'a:80'],
  PORT: [...NOT_COUNTS, '65536'],
  ADMIN_HOST: ['a b', 'http://a'],
  ADMIN_PORT: [...NOT_COUNTS, '65536'],
  LISTENER: ['NODE', 'uWS', 'node,uws', ' '],
  WORKERS: [...NOT_COUNTS, '0', '513', 'AUTO', 'auto,2'],
  CONFIG_FILE: NOT_FILES,
  ROUTE_FILE: NOT_FILES,
  INGRESS_HOST: ['https://a', 'a/b', 'a b'],
  RAW_WS_BACKEND_URL: NOT_UPSTREAMS,
  MQTT_WS_BACKEND_URL: NOT_UPSTREAMS,
  RESPOND_VARIABLES: [',', 'A-B', '1A', 'A B', 'NODE_NAME,ADMIN_TOKEN', 'REDIS_URL'],
  WS_ALLOWED_ORIGINS: [
    ',',
    'https://',
    'https://a/',
    'https://a/b',
    'https://a?b',
    'https://u@a',
    'https://a:0',
    'https://a:65536',
    'https://a:x',
    'https://*',
    'https://*a.com',
    'https://a.*.com',
    'https://*.*.com',
    'https://[::1',
    'https://a..b',
    'https://1.2.3.400',
    'ftp://a',
    'javascript:alert(1)',
    'bücher.example',
    'a b',
    '*:80',
    'https://good.example,https://bad example',
  ],
  TRUSTED_PROXIES: [
    ',',
    'localhost',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '010.0.0.1',
    '::/129',
    'fe80::1%eth0',
    '*',
    '10.0.0.1, 300.1.1.1',
  ],
  JWT_COOKIE_NAME: ['a b', 'a;b', 'a=b', 'é', ' '],
  JWT_HEADER_NAMES: [',', 'a b', 'a:b', 'X-Token,a\r\nb', 'é'],
  JWT_SUBPROTOCOL_NAMES: [',', 'a b', 'a/b', 'é'],
  JWT_QUERY_NAMES: [',', 'a b', 'a&b', 'a=b', 'a#', 'é', '%74oken'],
  JWKS_URL: ['ws://a', 'a', 'https://', 'https://u:p@a', 'https://a#b', 'file:///etc/passwd'],
  JWT_PUBLIC_KEY_FILE: [...NOT_FILES, '/nowhere/key.pem', '/', '/dev/zero'],
  JWKS_TTL_MINUTES: [...NOT_TIMES, '0', '0.0', '35792'],
  JWKS_MAX_STALE_MINUTES: NOT_TIMES,
  JWT_EXPECTED_ISSUER: ['not a URL to discover from', 'é', 'a\nb'],
  JWT_EXPECTED_AUDIENCE: [',', ' , ,', 'é'],
  JWT_EXPECTED_AZP: [',', 'é'],
  ISSUERS_FILE: [...NOT_FILES, '/nowhere/issuers.yaml', '/', '/dev/zero'],
  JWT_ROLES_CLAIMS: [',', 'a b', 'é'],
  JWT_NAME_CLAIM: ['a b', 'é'],
  JWT_SCOPE_CLAIM: ['a b', 'é'],
  JWT_VALID_ALGORITHMS: [
    ',',
    'none',
    'None',
    'HS256',
    'RS256,HS512',
    'RS256,none',
    'rs256',
    'RS257',
    'RSA-OAEP',
  ],
  JWT_CLOCK_SKEW_SECONDS: NOT_TIMES,
  JWT_CLOSE_ON_EXPIRY: NOT_BOOLEANS,
  JWT_CACHE_STORE: ['Redis', 'disk', 'memory,redis'],
  JWT_CACHE_PREFIX: ['a b', 'a\nb', 'é', ' ', 'a'.repeat(129)],
  JWT_CACHE_MAX_ENTRIES: [...NOT_COUNTS, '0', '10000001'],
  CACHE_SECRET: ['é', 'a\nb', ' '],
  REDIS_URL: [
    'redis+sentinel://a:1,b:2',
    'redis://a,redis+sentinel://b/m',
    ',',
    'http://a',
    'localhost:6379',
    'redis://a b',
    'redis://a,http://b',
  ],
  POSTGRES_DSN: [
    'postgres://a/b?sslmode=maybe',
    'postgres://a/b?sslmode=verify-ca',
    'mysql://a',
    'host=a user=b',
    'postgres://a b',
  ],
  REVOCATION_TTL_SECONDS: NOT_TIMES,
  AUTH_TIMEOUT_SECONDS: [...NOT_TIMES, '2147484'],
  MAX_CONNECT_BYTES: NOT_SIZES,
  MAX_MESSAGE_BYTES: NOT_SIZES,
  MAX_BUFFERED_BYTES: NOT_SIZES,
  MAX_CONNECTIONS: NOT_COUNTS,
  MAX_CONNECTIONS_PER_IP: NOT_COUNTS,
  MAX_SESSIONS_PER_TOKEN: NOT_COUNTS,
  INTROSPECTION_URL: ['idp.example/introspect', 'ws://a', 'https://u:p@a/', 'https://a/#b'],
  INTROSPECTION: ['jwt', 'Always', 'on'],
  INTROSPECTION_CLIENT_ID: ['é'],
  INTROSPECTION_CLIENT_SECRET: ['é'],
  INTROSPECTION_CLIENT_KEY_FILE: ['a\0b'],
  INTROSPECTION_CACHE_SECONDS: [...NOT_TIMES, '0'],
  INTROSPECTION_MAX_STALE_SECONDS: NOT_TIMES,
  BACKCHANNEL_LOGOUT: ['yes', '1', 'TRUE'],
  BACKCHANNEL_CLIENT_ID: [',', 'é'],
  MAX_CONNECTIONS_PER_SUB: NOT_COUNTS,
  MAX_HANDSHAKES_PER_SECOND: NOT_COUNTS,
  MAX_DIALS_PER_ENDPOINT: [...NOT_COUNTS, '0'],
  WS_IDLE_TIMEOUT_SECONDS: [...NOT_TIMES, '0.5', '1', '7.99', '960.1', '961'],
  WS_WRITE_TIMEOUT_SECONDS: NOT_TIMES,
  WS_CONTROL_TIMEOUT_SECONDS: NOT_TIMES,
  WS_DIAL_TIMEOUT_SECONDS: NOT_TIMES,
  WS_DIAL_RETRY_MAX: [...NOT_COUNTS, '0', '1001'],
  WS_DIAL_RETRY_INTERVAL_SECONDS: NOT_TIMES,
  CB_FAILURE_THRESHOLD: [...NOT_COUNTS, '0'],
  CB_OPEN_TIMEOUT_SECONDS: NOT_TIMES,
  CB_HEALTHCHECK_INTERVAL_SECONDS: NOT_TIMES,
  RATE_LIMIT_PER_SECOND: ['-1', 'x', '1e3', ' ', 'NaN', '99999999999'],
  RATE_LIMIT_BURST: [...NOT_COUNTS, '0'],
  RATE_LIMIT_BYTES_PER_SECOND: NOT_COUNTS,
  UPSTREAM_MASKING: ['none', 'ZERO'],
  TLS_CERT_FILE: ['/nowhere/tls.crt'],
  TLS_KEY_FILE: ['/nowhere/tls.key'],
  WS_COMPRESSION: ['on', 'true', 'gzip'],
  GRACEFUL_DRAIN_TIMEOUT_SECONDS: NOT_TIMES,
  SHUTDOWN_HARD_LIMIT: NOT_TIMES,
  ADMIN_TOKEN: ['two words', 'é', 'a\nb', ' '],
  ACTIVITY_STORE: ['redis', 'Postgres', 'off'],
  ACTIVITY_DAYS: ['-1', 'x', '3651', '1e3'],
  DISCOVERY: ['yes', '1'],
  METRICS_MAX_USERS: NOT_COUNTS,
  LOG_LEVEL: ['INFO', 'verbose', 'silent'],
  LOG_FORMAT: ['text', 'JSON'],
  LOG_ACCESS: ['none', 'error', 'ALL'],
  OTEL_EXPORTER_OTLP_ENDPOINT: [
    'collector:4318',
    'grpc://a:4317',
    'http://',
    'http://me:pw@a',
    'http://a#b',
    'http://a b',
  ],
  OTEL_EXPORTER_OTLP_HEADERS: [',', 'x', '=x', 'a b=x', 'x=é', 'x=%0a', 'x=%zz', 'x=1,y'],
  OTEL_SERVICE_NAME: ['é', 'a\nb'],
  OTEL_RESOURCE_ATTRIBUTES: [',', 'x', '=x', 'a b=x', 'x=%00', 'x=%zz', 'x=1,y'],
  HTTP_PROXY: ['socks5://a', 'http://', 'a b', 'http://a/#b'],
  HTTPS_PROXY: ['ftp://a', ' '],
  NO_PROXY: [',', 'a b', 'http://a'],
  OTEL_SDK_DISABLED: [' '],
  OTEL_TRACES_EXPORTER: ['é', ' '],
  OTEL_TRACES_SAMPLER: ['é', ' '],
  OTEL_TRACES_SAMPLER_ARG: ['-0.1', '1.1', 'x', '1e-3', ' ', 'NaN'],
};

/** What OTEL_* variables say counts only where there are traces. */
const traced = (name: string): Readonly<Record<string, string>> =>
  name.startsWith('OTEL_') ? { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318' } : {};

describe('a malformed variable is an error that names it and what is allowed', () => {
  for (const name of Object.keys(VARIABLES) as VariableName[]) {
    it(name, () => {
      for (const value of BAD[name]) {
        const lines = linesOf(readEnvironment({ ...traced(name), [name]: value }));
        assert.ok(lines.length > 0, `${name}=${JSON.stringify(value)} was accepted`);
        assert.ok(
          lines.every(
            (line) =>
              /^(?:TLS_CERT_FILE|TLS_KEY_FILE): must be set/.test(line) || line.startsWith(`${name}: `),
          ),
          lines.join('\n'),
        );
        assert.ok(
          lines.every((line) => !/[\r\n]/.test(line)),
          'one line per problem',
        );
      }
    });
  }
});
