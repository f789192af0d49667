import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import { readEnvironment } from '../../../internal/config/environment/environment.js';
import { VARIABLES } from '../../../internal/config/environment/variables.js';
import { configOf, directory, linesOf, put } from '../files.js';

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

  it('refuses to ask about every token where there is nobody to ask', () => {
    assert.deepEqual(linesOf(readEnvironment({ INTROSPECTION: 'always' })), [
      'INTROSPECTION: is set without INTROSPECTION_URL',
    ]);
    assert.deepEqual(linesOf(readEnvironment({ INTROSPECTION: 'opaque' })), []);
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
    const week = '604800';
    const { shutdown, upstream } = configOf({
      GRACEFUL_DRAIN_TIMEOUT_SECONDS: week,
      SHUTDOWN_HARD_LIMIT: week,
      CB_HEALTHCHECK_INTERVAL_SECONDS: week,
    });
    // They are waited for together, and the health checks up to a tenth longer.
    assert.ok(shutdown.drainTimeoutMs + shutdown.hardLimitMs + upstream.healthcheckIntervalMs < 2 ** 31);
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
    const file = (env: Readonly<Record<string, string>>) => {
      const result = readEnvironment(env, { routeFile: '/flag.yaml' });
      return 'config' in result && result.config.routeFile;
    };
    assert.equal(file({ ROUTE_FILE: '/env.yaml' }), '/env.yaml');
    assert.equal(file({ ROUTE_FILE: '' }), '/flag.yaml');
    assert.equal(file({}), '/flag.yaml');
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
