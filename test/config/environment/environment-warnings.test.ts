import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { loadConfiguration } from '../../../internal/config/environment/environment.js';
import { directory, linesOf, put } from '../files.js';

type Env = Readonly<Record<string, string>>;

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
      REDIS_URL_FIL: 'REDIS_URL_FILE',
      ADMIN_TOKEN_FLE: 'ADMIN_TOKEN_FILE',
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

  it('is none either of whom a token is for that only its provider knows', (t) => {
    const asked = {
      JWKS_URL: '',
      JWT_EXPECTED_ISSUER: '',
      INTROSPECTION_URL: 'https://id/introspect',
      INTROSPECTION_CLIENT_ID: 'gateway',
      INTROSPECTION_CLIENT_SECRET: 'secret',
    };
    const [line, ...more] = warningsOf(t, asked);
    assert.match(line ?? '', /^JWT_EXPECTED_AUDIENCE: .* every token that INTROSPECTION_URL calls active is/);
    assert.deepEqual(more, []);
    const [both = ''] = warningsOf(t, { ...asked, JWKS_URL: RIGHT.JWKS_URL });
    assert.match(both, /that the key source has signed or that INTROSPECTION_URL calls active/);
    const issuers = put(directory(t), 'issuers.yaml', '- {name: a, issuer: https://a}');
    for (const limit of [
      { JWT_EXPECTED_AUDIENCE: 'a' },
      { JWT_EXPECTED_ISSUER: 'https://id' },
      { ISSUERS_FILE: issuers },
    ])
      assert.deepEqual(warningsOf(t, { ...asked, ...limit }), []);
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
