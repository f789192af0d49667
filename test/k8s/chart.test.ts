import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { ISecret } from 'kubernetes-models/v1/Secret';
import type { IService } from 'kubernetes-models/v1/Service';
import { parse } from 'yaml';
import { ENTRY_KEYS } from '../../internal/config/routes/schema.js';
import { TARGET_KEYS } from '../../internal/config/routes/targets.js';
import { all, helmTemplate, k8s, one, run } from '../support/kubernetes/render.js';
import { podOf, variablesOf } from './pod-files.js';
import { CHART_VALUES } from './renders.js';

const PUBLIC = { INGRESS_HOST: 'gateway.example.com', TRUSTED_PROXIES: '10.42.0.0/16' };
const REDIS = { secret: { values: { REDIS_URL: 'redis://redis:6379' } } };
const route = (keys: object) => ({ gatewayRoutes: [{ prefix: '/a', upstream: 'ws://a:1/', ...keys }] });

/** What the chart's notes say after an installation with these values. */
function notesOf(t: TestContext, values: object): string {
  const chart = mkdtempSync(join(tmpdir(), 'chart-'));
  t.after(() => rmSync(chart, { recursive: true, force: true }));
  cpSync(k8s('chart'), chart, { recursive: true });
  // helm template leaves the notes out: here they are the text of a ConfigMap.
  cpSync(k8s('chart/templates/NOTES.txt'), join(chart, 'NOTES.txt'));
  writeFileSync(
    join(chart, 'templates', 'notes.yaml'),
    'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: notes }\ndata:\n  notes: {{ tpl (.Files.Get "NOTES.txt") . | quote }}\n',
  );
  return one<IConfigMap>(helmTemplate(values, chart), 'ConfigMap', 'notes').data?.notes ?? '';
}

/** Values that must not be installed, with what helm says of them. */
const REFUSED: readonly (readonly [string, object, RegExp])[] = [
  ['an unknown value', { replicas: 2 }, /replicas/],
  ['a variable that the gateway does not have', { config: { LOGLEVEL: 'info' } }, /LOGLEVEL/],
  ['a secret among the plain variables', { config: { ADMIN_TOKEN: 'secret' } }, /ADMIN_TOKEN/],
  ['a port that the probes would miss', { config: { PORT: 9000 } }, /PORT/],
  ['a port of its own that is the clients’', { config: { ADMIN_PORT: '8080' } }, /ADMIN_PORT/],
  [
    'an address that no probe reaches',
    { config: { ADMIN_PORT: 9090, ADMIN_HOST: '127.0.0.1' } },
    /ADMIN_HOST/,
  ],
  [
    'an address of its own without a port',
    { config: { ADMIN_HOST: '::' } },
    /no use without config\.ADMIN_PORT/,
  ],
  ['a target that may lead anywhere', { gatewayTargets: { a: { claim: 'b' } } }, /allow is required/],
  ['a target of two kinds', { gatewayTargets: { a: { claim: 'b', file: '/c' } } }, /gatewayTargets/],
  ['an unknown word', { config: { LOG_LEVEL: 'loud' } }, /LOG_LEVEL/],
  ['a negative number', { config: { MAX_CONNECTIONS: -1 } }, /MAX_CONNECTIONS/],
  ['text for a number', { config: { MAX_CONNECTIONS: '10k' } }, /MAX_CONNECTIONS/],
  ['an `off` that YAML takes for false', { config: { WS_COMPRESSION: false } }, /WS_COMPRESSION/],
  ['an unknown key of a route', route({ upstreams: [] }), /upstreams/],
  ['a route without an upstream', { gatewayRoutes: [{ prefix: '/a' }] }, /upstream is required/],
  ['a route that is no URL of a backend', route({ upstream: 'ftp://a:1/' }), /upstream/],
  ['a route of two kinds', route({ respond: {} }), /oneOf|one of|valid against/],
  ['a route with a password in it', route({ upstream: 'ws://a:b@c/' }), /upstream/],
  ['a route that hides /admin', route({ prefix: '/admin/x' }), /prefix/],
  ['an unknown protocol', route({ protocol: 'coap' }), /protocol/],
  ['/metrics in public', { publicPaths: ['/ws', '/metrics'] }, /publicPaths/],
  ['/admin in public', { publicPaths: ['/admin/sessions'] }, /publicPaths/],
  ['everything in public', { publicPaths: ['/'] }, /publicPaths: \/ needs config\.ADMIN_PORT/],
  ['a path that proxies read in two ways', { publicPaths: ['//'] }, /publicPaths/],
  ['nothing in public', { publicPaths: [] }, /publicPaths/],
  [
    'backends without a label, which would be all pods',
    { networkPolicy: { backends: { 'ws-gateway-backend': null } } },
    /backends/,
  ],
  ['a client that is everybody', { networkPolicy: { clients: [{}] } }, /clients/],
  ['a short admin token', { secret: { values: { ADMIN_TOKEN: 'short' } } }, /ADMIN_TOKEN/],
  [
    'an existing Secret without ADMIN_TOKEN',
    { secret: { existingSecret: 'a', existingKeys: ['REDIS_URL'] } },
    /existingKeys/,
  ],
  ['too little time to shut down', { shutdownSlackSeconds: 0 }, /shutdownSlackSeconds/],
  ['an image digest that is none', { image: { digest: 'latest' } }, /digest/],
  ['replicas that share nothing', { replicaCount: 2 }, /several replicas need secret.values.REDIS_URL/],
  ['autoscaling with nothing shared', { autoscaling: { enabled: true } }, /several replicas need/],
  [
    'autoscaling down to more than up to',
    { ...REDIS, autoscaling: { enabled: true, minReplicas: 9 } },
    /maxReplicas is less/,
  ],
  ['an ingress without a host', { ingress: { enabled: true } }, /INGRESS_HOST is needed/],
  [
    'an HTTPRoute whose proxy is not believed',
    { httpRoute: { enabled: true }, config: { INGRESS_HOST: 'gateway.example.com' } },
    /TRUSTED_PROXIES is needed/,
  ],
];

describe('the chart', () => {
  it('passes helm lint', () => {
    assert.match(run('helm', ['lint', '--strict', k8s('chart')]), /0 chart\(s\) failed/);
  });

  it('is of this version', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    const chart = parse(readFileSync(k8s('chart/Chart.yaml'), 'utf8'));
    assert.deepEqual([chart.version, chart.appVersion], [version, version]);
  });

  for (const [name, values, message] of REFUSED) {
    it(`refuses ${name}`, () => {
      assert.throws(() => helmTemplate(values), message);
    });
  }

  it('takes the values that the documentation shows', () => {
    const page = readFileSync(new URL('../../docs/kubernetes.md', import.meta.url), 'utf8');
    const [, shown = ''] = /```yaml\n(# my-values\.yaml\n[\s\S]*?)```/.exec(page) ?? [];
    const objects = helmTemplate(parse(shown));
    assert.equal(one<IDeployment>(objects, 'Deployment').spec?.replicas, 3);
    assert.equal(all(objects, 'Ingress').length, 1);
  });

  it('takes every key of a route, and no other', () => {
    const { definitions } = JSON.parse(readFileSync(k8s('chart/values.schema.json'), 'utf8'));
    const keys = Object.keys(definitions.route.properties);
    assert.deepEqual(new Set(keys), new Set(ENTRY_KEYS));
    for (const [name, nested] of [
      ['rateLimit', ['perSecond', 'burst', 'perMinute', 'by']],
      ['timeouts', ['connect', 'answer', 'idle', 'write']],
      ['cors', ['origins', 'methods', 'headers', 'expose', 'credentials', 'maxAge']],
      ['bootstrap', ['cookie', 'check', 'mint', 'exchange', 'redirect']],
      ['respond', ['status', 'body', 'headers']],
      ['logout', ['redirect', 'everywhere']],
      ['health', ['path', 'status']],
      ['tls', ['caFile', 'certFile', 'keyFile', 'serverName', 'insecureSkipVerify']],
      ['mqtt', ['roles']],
    ] as const) {
      assert.deepEqual(Object.keys(definitions.route.properties[name].properties), nested);
    }
  });

  it('takes every key of a target, and no other', () => {
    const { definitions } = JSON.parse(readFileSync(k8s('chart/values.schema.json'), 'utf8'));
    assert.deepEqual(new Set(Object.keys(definitions.target.properties)), new Set(TARGET_KEYS));
  });

  it('has the endpoints at a port of their own: Service, scrapes, probes', () => {
    const objects = helmTemplate(
      CHART_VALUES['a port of its own for the endpoints, and upstreams for each user'] ?? {},
    );
    const ports = Object.fromEntries(
      all<IService>(objects, 'Service').map(({ metadata, spec }) => [metadata?.name, spec?.ports]),
    );
    assert.deepEqual(ports, {
      'gw-ws-gateway': [{ name: 'http', port: 8080, targetPort: 'http', protocol: 'TCP' }],
      'gw-ws-gateway-admin': [{ name: 'admin', port: 9090, targetPort: 'admin', protocol: 'TCP' }],
    });
    const { spec } = one<{ spec: { endpoints: { port: string }[] } }>(objects, 'ServiceMonitor');
    assert.deepEqual(
      spec.endpoints.map(({ port }) => port),
      ['admin'],
    );
    assert.deepEqual(podOf(objects).container.ports, [
      { name: 'http', containerPort: 8080, protocol: 'TCP' },
      { name: 'admin', containerPort: 9090, protocol: 'TCP' },
    ]);
  });

  it('hands targets on with the routes', () => {
    const values = CHART_VALUES['a port of its own for the endpoints, and upstreams for each user'] as {
      gatewayRoutes: unknown;
      gatewayTargets: unknown;
    };
    const { data } = one<IConfigMap>(helmTemplate(values), 'ConfigMap', 'gw-ws-gateway-routes');
    assert.deepEqual(parse(data?.['routes.yaml'] ?? ''), {
      targets: values.gatewayTargets,
      routes: values.gatewayRoutes,
    });
  });

  it('hands the routes on as they were given', () => {
    const values = CHART_VALUES['a public host with everything on'] as { gatewayRoutes: unknown };
    const { data } = one<IConfigMap>(helmTemplate(values), 'ConfigMap', 'gw-ws-gateway-routes');
    assert.deepEqual(parse(data?.['routes.yaml'] ?? ''), values.gatewayRoutes);
  });

  it('writes numbers out', () => {
    const config = {
      MAX_MESSAGE_BYTES: 1_073_741_824,
      WS_DIAL_TIMEOUT_SECONDS: 0.5,
      JWT_CLOSE_ON_EXPIRY: false,
    };
    const variables = variablesOf(helmTemplate({ config }));
    assert.equal(variables.MAX_MESSAGE_BYTES, '1073741824');
    assert.equal(variables.WS_DIAL_TIMEOUT_SECONDS, '0.5');
    assert.equal(variables.JWT_CLOSE_ON_EXPIRY, 'false');
  });

  it('makes an admin token of its own, never the same', () => {
    const [first, second] = [helmTemplate({}), helmTemplate({})].map((objects) => {
      const { data } = one<ISecret>(objects, 'Secret');
      assert.deepEqual(Object.keys(data ?? {}), ['ADMIN_TOKEN']);
      return Buffer.from(data?.ADMIN_TOKEN ?? '', 'base64').toString();
    });
    assert.match(first ?? '', /^[A-Za-z\d]{48}$/);
    assert.notEqual(first, second);
  });

  it('takes the keys of an existing Secret, and makes none', () => {
    const objects = helmTemplate(CHART_VALUES['an existing Secret'] ?? {});
    assert.deepEqual(all(objects, 'Secret'), []);
    const volume = podOf(objects).spec.volumes?.find(({ name }) => name === 'secrets');
    assert.equal(volume?.secret?.secretName, 'own');
    assert.equal(variablesOf(objects).POSTGRES_DSN_FILE, '/run/secrets/ws-gw/POSTGRES_DSN');
  });

  it('leaves the number of replicas to the autoscaler where there is one', () => {
    const replicas = (values: object) => one<IDeployment>(helmTemplate(values), 'Deployment').spec?.replicas;
    assert.equal(replicas({}), 1);
    assert.equal(replicas({ ...REDIS, replicaCount: 3 }), 3);
    assert.equal(replicas({ ...REDIS, autoscaling: { enabled: true } }), undefined);
  });

  it('scales by sessions and by CPU, or by CPU alone', () => {
    const metrics = (sessionsPerPod: number) =>
      one<IHorizontalPodAutoscaler>(
        helmTemplate({ ...REDIS, autoscaling: { enabled: true, sessionsPerPod } }),
        'HorizontalPodAutoscaler',
      ).spec?.metrics?.map(({ pods, resource }) => [
        pods?.metric.name ?? resource?.name,
        pods?.target.averageValue ?? resource?.target.averageUtilization,
      ]);
    assert.deepEqual(metrics(2_000_000), [
      ['ws_active_sessions', '2000000'],
      ['cpu', 70],
    ]);
    assert.deepEqual(metrics(0), [['cpu', 70]]);
  });

  it('replaces the pods when a variable changes, and not when a route does', () => {
    const checksum = (values: object) => {
      const template = one<IDeployment>(helmTemplate(values), 'Deployment').spec?.template;
      return template?.metadata?.annotations?.['checksum/config'];
    };
    const before = checksum({});
    assert.equal(checksum(route({})), before);
    assert.notEqual(checksum({ config: { LOG_LEVEL: 'warn' } }), before);
  });

  it('says where clients connect, and what is left to do', (t) => {
    const inside = notesOf(t, {});
    assert.match(inside, /port-forward service\/gw-ws-gateway 8080:8080/);
    assert.match(inside, /JWT_EXPECTED_ISSUER is still an example/);
    assert.match(inside, /\/mqtt \(mqtt\)\n {2}\/rpc \(raw\)\n/);
    const outside = notesOf(t, {
      config: { ...PUBLIC, JWT_EXPECTED_ISSUER: 'https://id.test', JWT_EXPECTED_AUDIENCE: '' },
      ingress: { enabled: true },
      ...route({ auth: 'public' }),
    });
    assert.match(outside, /^ {2}wss:\/\/gateway\.example\.com\/ws$/m);
    assert.match(outside, /^ {2}\/a, without a token$/m);
    assert.match(outside, /every token of the issuer will do/);
    assert.doesNotMatch(outside, /still an example|port-forward/);
  });
});
