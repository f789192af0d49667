import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { parse } from 'yaml';
import { RULES_FILE } from '../deploy/alert-rules.js';
import { all, type KubernetesObject } from '../support/kubernetes/render.js';
import { renders } from './renders.js';

interface Rules {
  readonly spec: {
    readonly groups: readonly {
      readonly rules: readonly { readonly annotations?: Readonly<Record<string, string>> }[];
    }[];
  };
}

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const groups = (parse(readFileSync(RULES_FILE, 'utf8')) as { groups: unknown }).groups;
const dashboard: unknown = JSON.parse(read('deploy/grafana/dashboard.json'));
const made = renders();

function ruled(): (readonly [string, Rules])[] {
  return made.flatMap(({ name, objects }) =>
    all<Rules>(objects, 'PrometheusRule').map((rule) => [name, rule] as const),
  );
}

function dashboardOf(objects: readonly KubernetesObject[]): IConfigMap | undefined {
  return all<IConfigMap>(objects, 'ConfigMap').find(({ metadata }) => metadata?.name?.endsWith('-dashboard'));
}

describe('what watches the gateway', () => {
  it('has the alerts of deploy/, letter by letter, wherever it is installed with them', () => {
    const names = new Set(ruled().map(([name]) => name));
    for (const name of ['the base', 'overlay staging', 'overlay production', 'chart with TLS of its own'])
      assert.ok(names.has(name), name);
    for (const [name, { spec }] of ruled().filter(([each]) => !each.includes('everything on')))
      assert.deepEqual(spec.groups, groups, name);
  });

  it('links to the pages where they are served, each to a heading that is there', () => {
    const [, rule] = ruled().find(([name]) => name.includes('everything on')) ?? [];
    const alerts =
      rule?.spec.groups.flatMap(({ rules }) => rules).filter(({ annotations }) => annotations) ?? [];
    assert.ok(alerts.length > 0);
    const page = read('docs/troubleshooting.md').toLowerCase();
    for (const { annotations } of alerts) {
      const [, anchor = ''] =
        /^https:\/\/docs\.example\.com\/gw\/troubleshooting\.html#([\w-]+)$/.exec(
          annotations?.runbook_url ?? '',
        ) ?? [];
      assert.equal(annotations?.runbook, undefined);
      assert.match(page, new RegExp(`^#+ ${anchor.replaceAll('-', '[ -]')}$`, 'm'));
    }
  });

  it('has the dashboard of deploy/, where Grafana finds it', () => {
    const found = made.flatMap(({ objects }) => dashboardOf(objects) ?? []);
    assert.ok(found.length >= 4);
    for (const { data, metadata } of found) {
      assert.equal(metadata?.labels?.grafana_dashboard, '1');
      assert.deepEqual(JSON.parse(data?.['ws-gateway.json'] ?? ''), dashboard);
    }
  });
});
