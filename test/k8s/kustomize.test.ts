import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { IHTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute';
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import type { IIngress } from 'kubernetes-models/networking.k8s.io/v1/Ingress';
import type { ISecret } from 'kubernetes-models/v1/Secret';
import type { IService } from 'kubernetes-models/v1/Service';
import { k8s, kustomize, one, tool } from '../support/kubernetes/render.js';
import { podOf, variablesOf } from './pod-files.js';
import { OVERLAYS } from './renders.js';

/** A copy of k8s/ that may be changed. */
function copyOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'k8s-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(k8s(''), folder, { recursive: true });
  return folder;
}

/** Names of the ConfigMaps of the environment and of the routes. */
function mapsOf(folder: string): { environment: string | undefined; routes: string | undefined } {
  const { spec, container } = podOf(kustomize(folder));
  return {
    environment: container.envFrom?.[0]?.configMapRef?.name,
    routes: spec.volumes?.find(({ name }) => name === 'routes')?.configMap?.name,
  };
}

describe('docs/kubernetes.md', () => {
  it('shows how an HTTP route gets a path in an overlay', (t) => {
    const page = readFileSync(new URL('../../docs/kubernetes.md', import.meta.url), 'utf8');
    const patches = /### Paths of HTTP routes[\s\S]*?```yaml\n(patches:[\s\S]*?)```/.exec(page)?.[1] ?? '';
    const overlay = join(copyOf(t), 'overlays', 'http');
    mkdirSync(overlay);
    writeFileSync(join(overlay, 'kustomization.yaml'), `resources: [../../base]\n${patches}`);
    const objects = kustomize(overlay);
    const [rule] = one<IIngress>(objects, 'Ingress').spec?.rules ?? [];
    assert.deepEqual(
      rule?.http?.paths.map(({ path, backend }) => [path, backend.service?.name]),
      [
        ['/ws', 'ws-gateway'],
        ['/api', 'ws-gateway'],
      ],
    );
    const [first] = one<IHTTPRoute>(objects, 'HTTPRoute').spec.rules ?? [];
    assert.deepEqual(
      first?.matches?.map(({ path }) => path?.value),
      ['/ws', '/api'],
    );
  });
});

describe('the base', () => {
  it('has one of everything', () => {
    const kinds = new Set(kustomize(k8s('base')).map(({ kind }) => kind));
    assert.deepEqual(
      kinds,
      new Set([
        ...['ConfigMap', 'Deployment', 'HTTPRoute', 'HorizontalPodAutoscaler', 'Ingress', 'NetworkPolicy'],
        ...['PodDisruptionBudget', 'PrometheusRule', 'Secret', 'Service', 'ServiceMonitor'],
      ]),
    );
  });

  it('scales by sessions and by CPU, never to a single pod', () => {
    const { spec } = one<IHorizontalPodAutoscaler>(kustomize(k8s('base')), 'HorizontalPodAutoscaler');
    assert.ok((spec?.minReplicas ?? 0) > 1);
    const [sessions, cpu] = spec?.metrics ?? [];
    assert.equal(sessions?.pods?.metric.name, 'ws_active_sessions');
    assert.ok(
      Number(sessions.pods.target.averageValue) < Number(variablesOf(kustomize(k8s('base'))).MAX_CONNECTIONS),
    );
    assert.equal(cpu?.resource?.name, 'cpu');
  });

  it('replaces the pods when the environment changes, and not when the routes do', (t) => {
    const folder = copyOf(t);
    const base = join(folder, 'base');
    const before = mapsOf(base);
    assert.equal(before.routes, 'ws-gateway-routes');
    appendFileSync(join(base, 'routes.yaml'), '\n# changed\n');
    assert.deepEqual(mapsOf(base), before);
    const env = join(base, 'gateway.env');
    writeFileSync(env, readFileSync(env, 'utf8').replace('LOG_LEVEL=info', 'LOG_LEVEL=warn'));
    const after = mapsOf(base);
    assert.equal(after.routes, before.routes);
    assert.notEqual(after.environment, before.environment);
  });
});

for (const name of OVERLAYS) {
  describe(`the overlay ${name}`, () => {
    const objects = kustomize(k8s(`overlays/${name}`));

    it('puts everything into its own namespace, which takes restricted pods only', () => {
      const namespace = `ws-gateway-${name}`;
      for (const { kind, metadata } of objects) {
        assert.equal(kind === 'Namespace' ? metadata.name : metadata.namespace, namespace);
      }
      const labels = objects.find(({ kind }) => kind === 'Namespace')?.metadata.labels;
      assert.equal(labels?.['pod-security.kubernetes.io/enforce'], 'restricted');
    });

    it('has its public host wherever it is needed', () => {
      const host = variablesOf(objects).INGRESS_HOST;
      assert.ok(host);
      const { spec } = one<IIngress>(objects, 'Ingress');
      assert.equal(spec?.rules?.[0]?.host, host);
      assert.deepEqual(spec?.tls?.[0]?.hosts, [host]);
      assert.deepEqual(one<IHTTPRoute>(objects, 'HTTPRoute').spec.hostnames, [host]);
    });

    it('holds no secret: they are made when it is installed', () => {
      const secret = one<ISecret>(objects, 'Secret');
      assert.deepEqual([secret.data, secret.stringData], [undefined, undefined]);
      // No pod starts without them.
      const volume = podOf(objects).spec.volumes?.find(({ name: each }) => each === 'secrets');
      assert.equal(volume?.secret?.secretName, secret.metadata?.name);
      assert.equal(volume?.secret?.optional, undefined);
      assert.deepEqual(
        volume?.secret?.items?.map(({ key }) => key),
        ['ADMIN_TOKEN', 'REDIS_URL'],
      );
    });
  });
}

describe('an overlay', () => {
  it('can have the endpoints at a port of their own', (t) => {
    const overlay = join(copyOf(t), 'overlays', 'staging');
    appendFileSync(join(overlay, 'kustomization.yaml'), '\ncomponents: [../../components/admin-port]\n');
    for (const objects of [kustomize(overlay), kustomize(k8s('overlays/production'))]) {
      assert.equal(variablesOf(objects).ADMIN_PORT, '9090');
      const { spec } = one<{ spec: { endpoints: { port: string }[] } }>(objects, 'ServiceMonitor');
      assert.deepEqual(
        spec.endpoints.map(({ port }) => port),
        ['admin'],
      );
      const service = one<IService>(objects, 'Service', 'ws-gateway-admin');
      assert.deepEqual(service.spec?.ports?.[0]?.targetPort, 'admin');
      assert.deepEqual(service.metadata?.labels, { 'app.kubernetes.io/name': 'ws-gateway' });
      const { container } = podOf(objects);
      assert.deepEqual(
        container.ports?.map(({ name }) => name),
        ['admin', 'http'],
      );
      // What the base says of the probes stays.
      assert.equal(container.startupProbe?.failureThreshold, 60);
    }
  });

  it('can leave out an object, as the documentation shows', (t) => {
    const page = readFileSync(new URL('../../docs/kubernetes.md', import.meta.url), 'utf8');
    const [, shown = ''] = /```yaml\npatches:\n([\s\S]*?)```/.exec(page) ?? [];
    const overlay = join(copyOf(t), 'overlays', 'staging');
    const file = join(overlay, 'kustomization.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('patches:\n', `patches:\n${shown}`));
    const before = kustomize(k8s('overlays/staging')).map(({ kind }) => kind);
    const after = kustomize(overlay).map(({ kind }) => kind);
    assert.deepEqual(
      after,
      before.filter((kind) => kind !== 'HTTPRoute'),
    );
  });
});

describe('secret-patch', () => {
  /** Its patch on the Secret of the base, by kubectl without a cluster. */
  const filledWith = (env: Record<string, string>): Record<string, string> => {
    const patch = `patch --local -f "${k8s('base/secret.yaml')}" --type merge --patch-file /dev/stdin -o json`;
    const { stdout, stderr } = spawnSync(
      'bash',
      ['-c', `"${k8s('secret-patch')}" | "${tool('kubectl')}" ${patch}`],
      {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, ...env },
      },
    );
    assert.notEqual(stdout, '', stderr);
    const { data = {} }: ISecret = JSON.parse(stdout);
    return Object.fromEntries(
      Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]),
    );
  };

  it('fills the Secret with a token that is never the same', () => {
    const env = { REDIS_URL: 'rediss://user:p"w\\d%@redis:6379', POSTGRES_DSN: 'postgres://db/gateway' };
    const [first, second] = [filledWith(env), filledWith(env)];
    const { ADMIN_TOKEN: token = '', ...rest } = first ?? {};
    assert.match(token, /^[\w-]{43}$/);
    assert.deepEqual(rest, env);
    assert.notEqual(token, second?.ADMIN_TOKEN);
  });

  it('refuses to leave out the Redis that replicas need', () => {
    const { status, stdout, stderr } = spawnSync(k8s('secret-patch'), {
      encoding: 'utf8',
      env: { PATH: process.env.PATH },
    });
    assert.equal(status, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^REDIS_URL must be set/);
  });
});

describe('the files of k8s/', () => {
  it('hold no secret', () => {
    for (const file of [
      'base/secret.yaml',
      'base/gateway.env',
      ...OVERLAYS.map((name) => `overlays/${name}/gateway.env`),
    ]) {
      assert.doesNotMatch(
        readFileSync(k8s(file), 'utf8'),
        /^\s*(data|stringData|ADMIN_TOKEN|REDIS_URL|POSTGRES_DSN)\s*[:=]/m,
      );
    }
  });
});
