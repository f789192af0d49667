import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import { loadConfiguration } from '../../internal/config/environment/environment.js';
import { linesOf } from '../config/files.js';
import { makeCertificate } from '../support/certificate.js';
import { one } from '../support/kubernetes/render.js';
import { environmentOf, podOf, variablesOf } from './pod-files.js';
import { renders } from './renders.js';

const packageVersion: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version;

/** What Secrets hold that are not made by k8s/. */
const SECRETS = {
  ADMIN_TOKEN: 'not-a-real-admin-token',
  REDIS_URL: 'redis://redis:6379',
  POSTGRES_DSN: 'postgres://db/gateway',
};

for (const { name, objects } of renders()) {
  describe(`the pods of ${name}`, () => {
    const { spec, container } = podOf(objects);

    it('may do nothing but run the gateway', () => {
      assert.deepEqual(spec.securityContext, {
        runAsNonRoot: true,
        runAsUser: 10001,
        runAsGroup: 10001,
        fsGroup: 10001,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      assert.equal(spec.automountServiceAccountToken, false);
      assert.equal(spec.enableServiceLinks, false);
      assert.equal(spec.hostNetwork ?? spec.hostPID ?? spec.hostIPC, undefined);
      assert.ok(container.volumeMounts?.every(({ readOnly }) => readOnly));
      assert.equal(spec.containers.length, 1);
    });

    it('have a bound on memory and ask for what they need', () => {
      assert.ok(container.resources?.requests?.cpu);
      assert.ok(container.resources.requests.memory);
      assert.ok(container.resources.limits?.memory);
    });

    it('are probed where the gateway answers', () => {
      assert.equal(container.startupProbe?.httpGet?.path, '/healthz');
      assert.equal(container.livenessProbe?.httpGet?.path, '/healthz');
      assert.equal(container.readinessProbe?.httpGet?.path, '/readyz');
      const { PORT, ADMIN_PORT } = variablesOf(objects);
      const scheme = variablesOf(objects).TLS_CERT_FILE ? 'HTTPS' : 'HTTP';
      for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
        assert.equal(probe.httpGet?.scheme ?? 'HTTP', scheme);
        const port = container.ports?.find((each) => each.name === probe.httpGet?.port);
        assert.equal(String(port?.containerPort), ADMIN_PORT || PORT);
      }
    });

    it('have a configuration that the gateway takes, and time for its whole shutdown', async (t) => {
      const tls = await makeCertificate('gateway.example.com');
      t.after(tls.remove);
      const environment = environmentOf(t, objects, {
        ...SECRETS,
        'tls.crt': readFileSync(tls.certFile, 'utf8'),
        'tls.key': readFileSync(tls.keyFile, 'utf8'),
      });
      const result = loadConfiguration(environment);
      assert.deepEqual(linesOf(result), []);
      assert.ok('config' in result);
      assert.equal(result.config.adminToken, SECRETS.ADMIN_TOKEN);
      assert.notEqual(result.table.routes.length, 0);

      // A supervisor ends workers that are stuck 5 s after both.
      const { drainTimeoutMs, hardLimitMs } = result.config.shutdown;
      const graceMs = (spec.terminationGracePeriodSeconds ?? 30) * 1000;
      assert.ok(graceMs >= drainTimeoutMs + hardLimitMs + 10_000, `${graceMs} ms`);
      assert.equal(container.lifecycle, undefined);
    });

    it('read the routes from a directory, so that a changed ConfigMap reaches them', () => {
      const mount = container.volumeMounts?.find((each) => each.name === 'routes');
      assert.equal(mount?.mountPath, '/etc/ws-gw');
      assert.equal(mount.subPath, undefined);
      assert.equal(variablesOf(objects).ROUTE_FILE, '/etc/ws-gw/routes.yaml');
    });

    it('get their secrets as files, which none but they may read', () => {
      for (const variable of Object.keys(SECRETS)) assert.equal(variablesOf(objects)[variable], undefined);
      assert.ok(variablesOf(objects).ADMIN_TOKEN_FILE);
      for (const { secret } of spec.volumes ?? []) assert.equal(secret?.defaultMode ?? 0o440, 0o440);
      assert.equal(
        container.env?.some(({ valueFrom }) => valueFrom),
        false,
      );
    });

    it('are replaced without one missing, and spread over nodes and zones', () => {
      const deployment = one<IDeployment>(objects, 'Deployment').spec;
      assert.deepEqual(deployment?.strategy?.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
      const keys = spec.topologySpreadConstraints?.map(({ topologyKey }) => topologyKey);
      assert.deepEqual(keys, ['kubernetes.io/hostname', 'topology.kubernetes.io/zone']);
      for (const { labelSelector } of spec.topologySpreadConstraints ?? []) {
        assert.deepEqual(labelSelector?.matchLabels, deployment?.selector.matchLabels);
      }
    });

    it('run this version', () => {
      assert.match(container.image ?? '', new RegExp(`^ws-gateway(:${packageVersion}|@sha256:0{64})$`));
    });
  });
}
