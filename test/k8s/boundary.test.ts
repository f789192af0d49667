import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { IHTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IIngress } from 'kubernetes-models/networking.k8s.io/v1/Ingress';
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import type { IService } from 'kubernetes-models/v1/Service';
import { all, type KubernetesObject, one } from '../support/kubernetes/render.js';
import { podOf, variablesOf } from './pod-files.js';
import { renders } from './renders.js';

/** Every path that a proxy passes on, with the hosts that it does so for. */
function publicPaths(objects: readonly KubernetesObject[]): { hosts: unknown[]; paths: unknown[] }[] {
  const ingresses = all<IIngress>(objects, 'Ingress').map(({ spec }) => ({
    hosts: spec?.rules?.map(({ host }) => host) ?? [],
    paths: spec?.rules?.flatMap(({ http }) => http?.paths.map(({ path }) => path)) ?? [],
  }));
  const routes = all<IHTTPRoute>(objects, 'HTTPRoute').map(({ spec }) => ({
    hosts: spec.hostnames ?? [],
    paths: spec.rules?.flatMap(({ matches }) => matches?.map(({ path }) => path?.value) ?? [undefined]) ?? [],
  }));
  return [...ingresses, ...routes];
}

/** The gateway's own policy, and that of its backends. */
function policies(objects: readonly KubernetesObject[]) {
  const found = all<INetworkPolicy>(objects, 'NetworkPolicy');
  const named = (suffix: string) => found.find(({ metadata }) => metadata?.name?.endsWith(suffix))?.spec;
  return { gateway: named('gateway'), backends: named('-backends') };
}

const made = renders();
const guarded = made.filter(({ objects }) => all(objects, 'NetworkPolicy').length > 0);

describe('from outside', () => {
  for (const { name, objects } of made) {
    it(`nothing but paths of routes can be reached: ${name}`, () => {
      for (const { hosts, paths } of publicPaths(objects)) {
        const { INGRESS_HOST: host, ADMIN_PORT: adminPort } = variablesOf(objects);
        assert.deepEqual(hosts, [host]);
        // What is for the cluster alone has a port of its own, to which nothing leads.
        if (adminPort !== undefined && paths.every((path) => path === '/')) continue;
        assert.ok(paths.includes('/ws'));
        assert.deepEqual(
          paths.filter((path) => !/^\/(ws|full)$/.test(String(path))),
          [],
        );
      }
    });
  }

  it('a proxy in front is one that the gateway believes, and no wider circle', () => {
    for (const { name, objects } of made.filter((render) => publicPaths(render.objects).length > 0)) {
      const { TRUSTED_PROXIES: trusted = '', WS_ALLOWED_ORIGINS: origins } = variablesOf(objects);
      assert.match(trusted, /^10\.\d+\.\d+\.\d+\/16$/, name);
      assert.notEqual(origins, '*', name);
    }
  });

  it('no Service is open by itself', () => {
    for (const { objects } of made)
      for (const { spec } of all<IService>(objects, 'Service')) assert.equal(spec?.type, 'ClusterIP');
  });
});

describe('within the cluster', () => {
  it('there are policies unless they are switched off', () => {
    const without = made.filter((render) => !guarded.includes(render)).map(({ name }) => name);
    assert.deepEqual(without, ['chart with everything off']);
  });

  for (const { name, objects } of guarded) {
    const { gateway, backends } = policies(objects);
    const labels = one<IDeployment>(objects, 'Deployment').spec?.selector.matchLabels;

    it(`only proxies and scrapers reach the gateway, each the port that is for them: ${name}`, () => {
      assert.deepEqual(gateway?.podSelector.matchLabels, labels);
      assert.deepEqual(gateway?.policyTypes, ['Ingress', 'Egress']);
      const rules = gateway?.ingress ?? [];
      const admin = variablesOf(objects).ADMIN_PORT ? 'admin' : 'http';
      assert.ok(podOf(objects).container.ports?.some((each) => each.name === admin));
      for (const { from = [], ports } of rules) {
        const scrapes = JSON.stringify(from).includes('"prometheus"');
        assert.deepEqual(ports, [{ port: scrapes ? admin : 'http', protocol: 'TCP' }]);
        assert.notEqual(from.length, 0);
        // An empty list of peers would let in everybody, a lone podSelector the own namespace.
        for (const { namespaceSelector, podSelector } of from) {
          assert.notEqual(Object.keys(namespaceSelector?.matchLabels ?? {}).length, 0);
          assert.notEqual(Object.keys(podSelector?.matchLabels ?? {}).length, 0);
        }
      }
      assert.equal(rules.length === 0, name === 'chart with nobody let in');
    });

    it(`the gateway reaches names, backends, stores and the internet's HTTPS: ${name}`, () => {
      for (const { to = [], ports = [] } of gateway?.egress ?? []) {
        assert.notEqual(to.length, 0);
        for (const { ipBlock, podSelector } of to) {
          if (ipBlock?.cidr === '0.0.0.0/0') assert.ok(ipBlock.except?.includes('169.254.0.0/16'));
          if (ipBlock?.cidr.endsWith('/0')) assert.deepEqual(ports, [{ port: 443, protocol: 'TCP' }]);
          if (ipBlock === undefined) assert.notEqual(Object.keys(podSelector?.matchLabels ?? {}).length, 0);
        }
      }
    });

    it(`backends are reached through the gateway only: ${name}`, () => {
      assert.deepEqual(backends?.podSelector.matchLabels, { 'ws-gateway-backend': 'true' });
      assert.deepEqual(backends?.policyTypes, ['Ingress']);
      assert.deepEqual(backends?.ingress, [{ from: [{ podSelector: { matchLabels: labels } }] }]);
    });
  }
});
