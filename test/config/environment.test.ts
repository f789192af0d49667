import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Config } from '../../internal/config/config.js';
import { VARIABLES, type VariableName } from '../../internal/config/environment/variables.js';
import { loadConfiguration, readEnvironment } from '../../internal/config/environment.js';
import { certificate, directory, keyPair, linesOf, put } from './files.js';

type Env = Readonly<Record<string, string>>;

function configOf(env: Env): Config {
  const result = readEnvironment(env);
  assert.ok('config' in result, linesOf(result).join('\n'));
  return result.config;
}

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
const traced = (name: string): Env =>
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

describe('readEnvironment', () => {
  it('has the documented defaults when nothing is set, or everything is set to the empty string', () => {
    const empty = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, '']));
    const config = configOf({});
    assert.deepEqual(configOf(empty), config);
    assert.deepEqual(config.listen, {
      host: '0.0.0.0',
      port: 8080,
      admin: undefined,
      listener: 'auto',
      workers: 1,
      tls: undefined,
      compression: 'off',
    });
    assert.equal(config.routeFile, '/etc/ws-gw/routes.yaml');
    assert.deepEqual(config.opening, {
      allowedOrigins: undefined,
      trustedProxies: ['127.0.0.0/8', '::1/128'],
      maxConnections: 0,
      maxConnectionsPerIp: 0,
      maxConnectionsPerSub: 0,
      maxSessionsPerToken: 0,
      maxHandshakesPerSecond: 0,
    });
    assert.deepEqual(config.credentials, {
      headerNames: ['authorization'],
      subprotocolNames: ['bearer', 'access_token'],
      cookieName: 'session',
      queryNames: ['token'],
    });
    assert.deepEqual(config.verification, {
      keySource: { kind: 'none' },
      jwksTtlMs: 600_000,
      jwksMaxStaleMs: 86_400_000,
      issuer: undefined,
      audiences: [],
      authorizedParties: [],
      algorithms: ['RS256'],
      issuers: [],
      rolesClaims: undefined,
      nameClaim: 'preferred_username',
      scopeClaim: 'scope',
      clockSkewMs: 5000,
      closeOnExpiry: true,
      introspection: undefined,
      proxies: { http: undefined, https: undefined, except: [] },
    });
    assert.deepEqual(config.tokenCache, {
      store: 'memory',
      prefix: 'jwt_cached_token_',
      maxEntries: 100_000,
      secret: undefined,
    });
    assert.deepEqual(config.session, {
      authTimeoutMs: 10_000,
      maxConnectBytes: 65_536,
      maxMessageBytes: 1_048_576,
      maxBufferedBytes: 1_048_576,
      idleTimeoutMs: 60_000,
      writeTimeoutMs: 10_000,
      controlTimeoutMs: 1000,
    });
    assert.deepEqual(config.upstream, {
      dialTimeoutMs: 5000,
      dialAttempts: 3,
      dialIntervalMs: 2000,
      failureThreshold: 5,
      openTimeoutMs: 60_000,
      healthcheckIntervalMs: 30_000,
      maxDialsPerEndpoint: 128,
      masking: 'zero',
    });
    assert.deepEqual(config.rateLimit, { perSecond: 10, burst: 30, bytesPerSecond: 0 });
    assert.deepEqual(config.shutdown, { drainTimeoutMs: 30_000, hardLimitMs: 5000 });
    assert.deepEqual(config.telemetry, {
      logLevel: 'info',
      logFormat: 'json',
      logAccess: 'all',
      ingressHost: undefined,
      maxUsers: 1000,
    });
    assert.deepEqual(config.redisUrls, []);
    assert.equal(config.postgresDsn, undefined);
    assert.equal(config.adminToken, undefined);
    assert.equal(config.revocationTtlMs, 86_400_000);
  });

  it('reports every malformed variable at once', () => {
    const lines = linesOf(
      readEnvironment({ PORT: 'x', LOG_LEVEL: 'loud', JWKS_URL: 'nowhere', REDIS_URL: 'nowhere' }),
    );
    assert.deepEqual(
      lines.map((line) => line.split(':')[0]),
      ['PORT', 'JWKS_URL', 'REDIS_URL', 'LOG_LEVEL'],
    );
    assert.equal(lines[0], 'PORT: "x" is not allowed: must be a whole number, 0 to 65535');
  });

  it('takes decimal seconds and minutes as milliseconds, and keeps what is above 0 above 0', () => {
    const config = configOf({
      AUTH_TIMEOUT_SECONDS: '0.25',
      JWKS_TTL_MINUTES: '0.5',
      WS_WRITE_TIMEOUT_SECONDS: '0.0001',
      JWT_CLOCK_SKEW_SECONDS: '0',
      WS_IDLE_TIMEOUT_SECONDS: '8.5',
    });
    assert.equal(config.session.authTimeoutMs, 250);
    assert.equal(config.verification.jwksTtlMs, 30_000);
    assert.equal(config.session.writeTimeoutMs, 1);
    assert.equal(config.verification.clockSkewMs, 0);
    assert.equal(config.session.idleTimeoutMs, 8500);
  });

  it('no time that a timer waits for is longer than a timer can wait', () => {
    assert.ok(configOf({ AUTH_TIMEOUT_SECONDS: '2147483' }).session.authTimeoutMs < 2 ** 31);
    assert.ok(configOf({ JWKS_TTL_MINUTES: '35791' }).verification.jwksTtlMs < 2 ** 31);
  });

  it('0 turns the idle timeout and the limits off', () => {
    const config = configOf({
      WS_IDLE_TIMEOUT_SECONDS: '0',
      RATE_LIMIT_PER_SECOND: '0',
      RATE_LIMIT_BURST: '0',
    });
    assert.equal(config.session.idleTimeoutMs, 0);
    assert.deepEqual(config.rateLimit, { perSecond: 0, burst: 0, bytesPerSecond: 0 });
  });

  it('WORKERS=auto is the number of cores', () => {
    assert.equal(configOf({ WORKERS: 'auto' }).listen.workers, availableParallelism());
  });

  it('a trailing comma does not disable the audience check, and a list of commas is refused', () => {
    assert.deepEqual(configOf({ JWT_EXPECTED_AUDIENCE: 'a,' }).verification.audiences, ['a']);
    assert.deepEqual(configOf({ JWT_EXPECTED_AUDIENCE: ' a ,, b,a' }).verification.audiences, ['a', 'b']);
    assert.match(
      linesOf(readEnvironment({ JWT_EXPECTED_AUDIENCE: ',' }))[0] ?? '',
      /^JWT_EXPECTED_AUDIENCE: "," /,
    );
  });

  it('takes every form of an allowed origin, as written', () => {
    const entries = [
      '*',
      'null',
      'https://app.example.com',
      'https://*.example.com',
      'http://localhost:*',
      'app.example.com',
      '*.example.com:8443',
      'http://[::1]:3000',
      'http://127.0.0.1',
      'HTTPS://App.Example.com',
      'capacitor://localhost',
      'chrome-extension://abcdefghijklmnop',
      'file://',
    ];
    assert.deepEqual(configOf({ WS_ALLOWED_ORIGINS: entries.join(', ') }).opening.allowedOrigins, entries);
  });

  it('names of headers and sub-protocols are lower-cased, cookie and query names are not', () => {
    const { credentials } = configOf({
      JWT_HEADER_NAMES: 'X-Token,AUTHORIZATION,x-token',
      JWT_SUBPROTOCOL_NAMES: 'Bearer,JWT',
      JWT_COOKIE_NAME: 'SID',
      JWT_QUERY_NAMES: 'Token,jwt',
    });
    assert.deepEqual(credentials, {
      headerNames: ['x-token', 'authorization'],
      subprotocolNames: ['bearer', 'jwt'],
      cookieName: 'SID',
      queryNames: ['Token', 'jwt'],
    });
  });

  it('takes Redis clusters and Postgres sockets', () => {
    const config = configOf({
      REDIS_URL: 'redis://:pw@a:6379/1, rediss://b:6380',
      POSTGRES_DSN: 'postgresql:///db?host=/var/run/postgresql',
    });
    assert.deepEqual(config.redisUrls, ['redis://:pw@a:6379/1', 'rediss://b:6380']);
    assert.equal(config.postgresDsn, 'postgresql:///db?host=/var/run/postgresql');
  });

  it('traces nothing without an endpoint, and reads what OpenTelemetry calls it with one', () => {
    assert.equal(configOf({ OTEL_SERVICE_NAME: 'a', OTEL_TRACES_SAMPLER: 'always_on' }).tracing, undefined);
    assert.deepEqual(configOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318' }).tracing, {
      endpoint: 'http://otel:4318',
      headers: {},
      serviceName: 'ws-gateway',
      resource: {},
      sampler: 'parentbased_always_on',
      ratio: 1,
      proxies: { http: undefined, https: undefined, except: [] },
    });
    assert.deepEqual(
      configOf({
        OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otel/x',
        OTEL_EXPORTER_OTLP_HEADERS: ' x-key = a%20b%3Dc= , x-empty=,',
        OTEL_SERVICE_NAME: 'edge',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging,team=caf%C3%A9',
        OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
        OTEL_TRACES_SAMPLER_ARG: '0.25',
      }).tracing,
      {
        endpoint: 'https://otel/x',
        headers: { 'x-key': 'a b=c=', 'x-empty': '' },
        serviceName: 'edge',
        resource: { 'deployment.environment.name': 'staging', team: 'café' },
        sampler: 'parentbased_traceidratio',
        ratio: 0.25,
        proxies: { http: undefined, https: undefined, except: [] },
      },
    );
  });

  it('freezes the configuration to its leaves', () => {
    const config = configOf({ JWT_EXPECTED_AUDIENCE: 'a' });
    assert.throws(() => Object.assign(config.verification, { issuer: 'x' }), TypeError);
    assert.throws(() => (config.verification.audiences as string[]).push('b'), TypeError);
  });

  it('ROUTE_FILE wins over --route-file, and an empty one does not', () => {
    const file = (env: Env) => {
      const result = readEnvironment(env, { routeFile: '/flag.yaml' });
      return 'config' in result && result.config.routeFile;
    };
    assert.equal(file({ ROUTE_FILE: '/env.yaml' }), '/env.yaml');
    assert.equal(file({ ROUTE_FILE: '' }), '/flag.yaml');
    assert.equal(file({}), '/flag.yaml');
  });
});

describe('secrets', () => {
  it('the value of a secret, or of credentials in a URL, is in no message', () => {
    const lines = linesOf(
      readEnvironment({
        ADMIN_TOKEN: 'hunter2 hunter2',
        REDIS_URL: 'http://:hunter2@a',
        POSTGRES_DSN: 'user=a password=hunter2',
        JWKS_URL: 'https://me:hunter2@a/jwks',
        RAW_WS_BACKEND_URL: 'ws://me:hunter2@a',
        MQTT_WS_BACKEND_URL: 'htp://a/?token=hunter2',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel',
        OTEL_EXPORTER_OTLP_HEADERS: 'x-key: hunter2',
      }),
    );
    assert.equal(lines.length, 7);
    assert.doesNotMatch(lines.join('\n'), /hunter2/);
  });

  it('can come from a file, without the white space around them', (t) => {
    const folder = directory(t);
    const config = configOf({
      ADMIN_TOKEN_FILE: put(folder, 'admin', 's3cret\n'),
      REDIS_URL_FILE: put(folder, 'redis', ' redis://a \n'),
      POSTGRES_DSN_FILE: put(folder, 'postgres', 'postgres://a'),
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318',
      OTEL_EXPORTER_OTLP_HEADERS_FILE: put(folder, 'otel', 'x-key=s3cret\n'),
    });
    assert.equal(config.adminToken, 's3cret');
    assert.deepEqual(config.redisUrls, ['redis://a']);
    assert.equal(config.postgresDsn, 'postgres://a');
    assert.deepEqual(config.tracing?.headers, { 'x-key': 's3cret' });
  });

  it('a secret file that is missing, empty, too large, a directory, or beside the variable is an error', (t) => {
    const folder = directory(t);
    mkdirSync(join(folder, 'sub'));
    const bad: [Env, RegExp][] = [
      [{ ADMIN_TOKEN_FILE: join(folder, 'none') }, /does not exist/],
      [{ ADMIN_TOKEN_FILE: put(folder, 'empty', '\n') }, /is empty/],
      [{ ADMIN_TOKEN_FILE: put(folder, 'large', 'x'.repeat(65_537)) }, /is larger than 65536 bytes/],
      [{ ADMIN_TOKEN_FILE: put(folder, 'latin1', new Uint8Array([0x61, 0xe9])) }, /is not UTF-8 text/],
      [{ ADMIN_TOKEN_FILE: join(folder, 'sub') }, /is not a regular file/],
      [{ ADMIN_TOKEN_FILE: put(folder, 'ok', 'x'), ADMIN_TOKEN: 'y' }, /is set beside ADMIN_TOKEN/],
      [{ ADMIN_TOKEN_FILE: put(folder, 'words', 'hunter2 hunter2') }, /the value is not allowed/],
    ];
    for (const [env, message] of bad) {
      const lines = linesOf(readEnvironment(env));
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? '', /^ADMIN_TOKEN_FILE: /);
      assert.match(lines[0] ?? '', message);
      assert.doesNotMatch(lines[0] ?? '', /hunter2/);
    }
  });
});

describe('any variable', () => {
  it('can come from a file', (t) => {
    const folder = directory(t);
    const config = configOf({
      PORT_FILE: put(folder, 'port', '9000\n'),
      JWT_EXPECTED_AUDIENCE_FILE: put(folder, 'audience', ' a, b '),
      ROUTE_FILE_FILE: put(folder, 'routes', '/elsewhere.yaml'),
    });
    assert.equal(config.listen.port, 9000);
    assert.deepEqual(config.verification.audiences, ['a', 'b']);
    assert.equal(config.routeFile, '/elsewhere.yaml');
    const lines = linesOf(readEnvironment({ PORT_FILE: put(folder, 'word', 'eighty') }));
    assert.deepEqual(
      lines.map((line) => line.split(':')[0]),
      ['PORT_FILE'],
    );
  });
});

describe('what looks like a mistake', () => {
  const routes = (t: TestContext) => put(directory(t), 'routes.yaml', '- {prefix: /a, upstream: "ws://a"}');
  const RIGHT = { JWKS_URL: 'https://id/jwks', JWT_EXPECTED_ISSUER: 'https://id' };
  const warningsOf = (t: TestContext, env: Env) => {
    const result = loadConfiguration({ ...RIGHT, ROUTE_FILE: routes(t), ...env });
    assert.ok('config' in result, linesOf(result).join('\n'));
    return result.warnings.map(({ name, message }) => `${name}: ${message}`);
  };

  it('is a variable that reads nearly like one of the gateway, and the right one is named', (t) => {
    const meant: Record<string, string> = {
      JWT_EXPECTED_AUDIANCE: 'JWT_EXPECTED_AUDIENCE',
      JWT_EXPECTED_ISSUR: 'JWT_EXPECTED_ISSUER',
      REDIS_URI: 'REDIS_URL',
      REDIS_URI_FILE: 'REDIS_URL',
      POSTGRES_URL: 'POSTGRES_DSN',
      JWKS_URI: 'JWKS_URL',
      AUTH_TIMEOUT: 'AUTH_TIMEOUT_SECONDS',
      AUTH_TIMEOUT_SEC: 'AUTH_TIMEOUT_SECONDS',
      WS_WRITE_TIMEOUT_MS: 'WS_WRITE_TIMEOUT_SECONDS',
      MAX_CONNECTION: 'MAX_CONNECTIONS',
      ROUTES_FILE: 'ROUTE_FILE',
      TLS_CERT: 'TLS_CERT_FILE',
      MAX_MESSAGE_SIZE_BYTES: '',
      PROT: 'PORT',
    };
    for (const [name, right] of Object.entries(meant))
      assert.deepEqual(
        warningsOf(t, { [name]: 'x' }),
        right === '' ? [] : [`${name}: is not read by the gateway; did you mean ${right}?`],
      );
  });

  it('is no variable of other programs, of the platform or of nobody', (t) => {
    const env = {
      ...{ HOME: '/', HOSTNAME: 'pod', PWD: '/', PATH: '/bin', NODE_ENV: 'production', NODE_OPTIONS: '-r x' },
      ...{
        KUBERNETES_PORT: 'tcp://10.0.0.1:443',
        KUBERNETES_SERVICE_HOST: '10.0.0.1',
        npm_config_cache: '/c',
      },
      ...{
        HTTP_PROXY: 'http://p',
        https_proxy: 'http://p',
        NO_PROXY: 'a',
        LANG: 'C',
        TERM: 'xterm',
        HOST: '::',
      },
      ...{ REDIS_URI: '', WS_GATEWAY_SERVICE_HOST: '10.0.0.2', ADMIN_TOKEN_FILE: '' },
    };
    assert.deepEqual(warningsOf(t, env), []);
  });

  it('is no check of who a token is for', (t) => {
    const [line, ...more] = warningsOf(t, { JWT_EXPECTED_ISSUER: '' });
    assert.match(line ?? '', /^JWT_EXPECTED_AUDIENCE: is not set, nor is JWT_EXPECTED_ISSUER/);
    assert.deepEqual(more, []);
    assert.deepEqual(warningsOf(t, { JWT_EXPECTED_ISSUER: '', JWT_EXPECTED_AUDIENCE: 'a' }), []);
  });
});

describe('OTEL_* as a platform sets them', () => {
  const load = (t: TestContext, env: Env) =>
    loadConfiguration({
      RAW_WS_BACKEND_URL: 'ws://a',
      JWT_EXPECTED_ISSUER: 'https://id',
      ROUTE_FILE: put(directory(t), 'routes.yaml', '[]'),
      ...env,
    });
  const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318' };

  it('end nothing while there are no traces', (t) => {
    const foreign = {
      OTEL_TRACES_SAMPLER: 'jaeger_remote',
      OTEL_TRACES_SAMPLER_ARG: 'endpoint=http://localhost:14250',
      OTEL_RESOURCE_ATTRIBUTES: 'no pairs',
      OTEL_EXPORTER_OTLP_HEADERS: 'x y',
    };
    const off: Env[] = [
      {},
      { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' },
      { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' },
    ];
    for (const env of off) {
      const result = load(t, { ...foreign, ...env });
      assert.ok('config' in result, linesOf(result).join('\n'));
      assert.equal(result.config.tracing, undefined);
      assert.deepEqual(
        result.warnings.map(({ name }) => name),
        ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_RESOURCE_ATTRIBUTES'],
      );
    }
  });

  it('that name a sampler or an exporter which is not offered are a warning', (t) => {
    const result = load(t, {
      ...ENDPOINT,
      OTEL_TRACES_SAMPLER: 'xray',
      OTEL_TRACES_SAMPLER_ARG: 'endpoint=x',
    });
    assert.ok('config' in result, linesOf(result).join('\n'));
    assert.equal(result.config.tracing?.sampler, 'parentbased_always_on');
    assert.deepEqual(
      result.warnings.map(({ name }) => name),
      ['OTEL_TRACES_SAMPLER'],
    );
    const other = load(t, { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'zipkin' });
    assert.ok('config' in other);
    assert.equal(other.config.tracing, undefined);
    assert.deepEqual(
      other.warnings.map(({ name }) => name),
      ['OTEL_TRACES_EXPORTER'],
    );
    const both = load(t, { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'zipkin, otlp', OTEL_SDK_DISABLED: 'no' });
    assert.ok('config' in both && both.config.tracing !== undefined);
  });
});

describe('key sources', () => {
  const sourceOf = (env: Env) => configOf(env).verification.keySource;

  it('a JWKS URL comes before discovery, and so does a key file', (t) => {
    const file = put(directory(t), 'key.pem', keyPair().publicKey);
    const issuer = 'https://id.example.com';
    assert.deepEqual(sourceOf({ JWKS_URL: 'https://a/jwks', JWT_EXPECTED_ISSUER: 'any text' }), {
      kind: 'jwks',
      url: 'https://a/jwks',
    });
    assert.deepEqual(sourceOf({ JWT_PUBLIC_KEY_FILE: file, JWT_EXPECTED_ISSUER: issuer }), {
      kind: 'pem',
      file,
    });
    assert.deepEqual(sourceOf({ JWT_EXPECTED_ISSUER: issuer }), { kind: 'issuer', issuer });
  });

  it('a key file and a JWKS URL together are refused', (t) => {
    const file = put(directory(t), 'key.pem', keyPair().publicKey);
    const lines = linesOf(readEnvironment({ JWT_PUBLIC_KEY_FILE: file, JWKS_URL: 'https://a' }));
    assert.deepEqual(lines, ['JWT_PUBLIC_KEY_FILE: is set beside JWKS_URL: set only one of them']);
  });

  it('a key file may hold a certificate, but no private key and no nonsense', async (t) => {
    const folder = directory(t);
    const { publicKey, privateKey } = keyPair();
    assert.equal(sourceOf({ JWT_PUBLIC_KEY_FILE: (await certificate(folder, 'a')).cert }).kind, 'pem');
    for (const [content, message] of [
      [privateKey, /holds a private key/],
      [`${publicKey}${privateKey}`, /holds a private key/],
      ['nonsense', /holds no public key or certificate/],
      ['', /holds no public key or certificate/],
    ] as const) {
      const lines = linesOf(readEnvironment({ JWT_PUBLIC_KEY_FILE: put(folder, 'key.pem', content) }));
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? '', message);
      assert.doesNotMatch(lines[0] ?? '', /BEGIN/);
    }
  });
});

describe('TLS files', () => {
  it('come together and belong together', async (t) => {
    const folder = directory(t);
    const a = await certificate(folder, 'a');
    const b = await certificate(folder, 'b');
    assert.deepEqual(configOf({ TLS_CERT_FILE: a.cert, TLS_KEY_FILE: a.key }).listen.tls, {
      certFile: a.cert,
      keyFile: a.key,
    });
    assert.match(linesOf(readEnvironment({ TLS_CERT_FILE: a.cert }))[0] ?? '', /^TLS_KEY_FILE: must be set/);
    assert.match(linesOf(readEnvironment({ TLS_KEY_FILE: a.key }))[0] ?? '', /^TLS_CERT_FILE: must be set/);
    assert.match(
      linesOf(readEnvironment({ TLS_CERT_FILE: a.cert, TLS_KEY_FILE: b.key }))[0] ?? '',
      /^TLS_KEY_FILE: .* is not the key of the certificate/,
    );
  });

  it('are reported one by one when they cannot be read', (t) => {
    const folder = directory(t);
    const lines = linesOf(
      readEnvironment({
        TLS_CERT_FILE: put(folder, 'a.crt', 'nonsense'),
        TLS_KEY_FILE: join(folder, 'none'),
      }),
    );
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? '', /^TLS_CERT_FILE: .* holds no certificate in PEM form/);
    assert.match(lines[1] ?? '', /^TLS_KEY_FILE: .* does not exist/);
  });
});
