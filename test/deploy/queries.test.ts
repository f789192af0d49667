import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { EXAMPLE_QUERIES } from '../../scripts/metrics-page.js';
import { eventually } from '../support/eventually.js';
import { type PrometheusServer, type Series, startPrometheus } from '../support/servers/prometheus-server.js';
import { RULES_FILE, readRules, withoutThresholds } from './alert-rules.js';
import { BusyGateway } from './busy-gateway.js';
import { interpolate, readDashboard } from './dashboard.js';

const JOB = 'ws-gateway';
/** A rate over this long sees the whole test. */
const RATE_INTERVAL = '2m';
/** What has no series without TLS. */
const ONLY_WITH_TLS: readonly string[] = [
  'Certificate',
  'WsGatewayCertificateExpires',
  'ws_certificate_expiry_timestamp_seconds',
];
/** Panels, or parts of them, that stay at 0 in this test. */
const UNEVENTFUL = ['Readiness', 'restarts', 'workers replaced', 'activity dropped, {{instance}}'];

describe('a real Prometheus that scrapes a busy gateway', () => {
  let busy: BusyGateway;
  let prometheus: PrometheusServer;
  let releasePeers: () => void = () => {};

  before(async () => {
    busy = await BusyGateway.start();
    prometheus = await startPrometheus({
      targets: [busy.gateway.port],
      job: JOB,
      intervalMs: 250,
      ruleFiles: [RULES_FILE],
    });
  });
  after(async () => {
    releasePeers();
    await prometheus.stop();
    await busy.stop();
  });

  /** What a query returns, once there is a number above `above` in it. */
  async function data(
    expression: string,
    what: string,
    above = Number.NEGATIVE_INFINITY,
  ): Promise<readonly Series[]> {
    return await eventually(async () => {
      const series = await prometheus.query(expression);
      const values = series.flatMap(({ points }) => points.map(([, value]) => value));
      assert.ok(
        values.some((value) => Number.isFinite(value) && value > above),
        `no data: ${what}: ${expression}: ${values}`,
      );
      return series;
    }, 8000);
  }
  async function alerting(): Promise<ReadonlySet<string>> {
    const rules = await prometheus.rules();
    return new Set(rules.filter(({ state = 'inactive' }) => state !== 'inactive').map(({ name }) => name));
  }

  it('finds no alert while all is well', async () => {
    await busy.visit('zoe', 2);
    await busy.browse();
    await data('instance:ws_auth_success_total:sum', 'a scrape and a round of rules after it');
    // Some rules were evaluated before the first scrape.
    await eventually(async () => assert.deepEqual(await alerting(), new Set()));
  });

  it('finds alerts when it is not', async () => {
    releasePeers = await busy.blockUpstream();
    await Promise.all([
      busy.visit('ann', 5),
      busy.turnAway(),
      busy.browse(),
      busy.exceedRate('carl'),
      busy.failUpstreams(),
      busy.revoke('dave'),
      busy.reload(),
    ]);
    await busy.loseStore();
    await eventually(async () => {
      const expected = [
        'WsGatewayCircuitOpen',
        'WsGatewayDependencyDown',
        'WsGatewayNoUpstream',
        'WsGatewayReloadFailed',
        'WsGatewayRevocationsUnsent',
      ];
      const found = await alerting();
      assert.deepEqual(
        expected.filter((name) => !found.has(name)),
        [],
      );
    });
  });

  it('evaluates every rule, and what it says of an alert is filled in', async () => {
    const rules = await prometheus.rules();
    assert.equal(rules.length, (await readRules()).length);
    for (const { name, health, lastError, alerts = [] } of rules) {
      assert.equal(health, 'ok', `${name}: ${lastError}`);
      for (const { annotations } of alerts) {
        for (const text of Object.values(annotations))
          assert.doesNotMatch(text, /<error|<no value>|\{\{/, name);
        // A label that does not exist leaves nothing where its value should be.
        for (const text of Object.values(annotations))
          assert.doesNotMatch(text, / {2}| [,:.]/, `${name}: ${text}`);
      }
    }
  });

  it('has data for every expression of the alerts', async () => {
    for (const { alert, record, expr } of await readRules())
      if (!ONLY_WITH_TLS.includes(alert ?? '')) await data(withoutThresholds(expr), alert ?? record ?? '');
  });

  it('has something to show for every expression of the dashboard, with the labels of its legend', async () => {
    const { panels, templating } = await readDashboard();
    const releaseClient = await busy.blockClient();
    // The first one has started the series: a rate sees the second.
    await busy.askInVain();
    for (const { title, targets = [] } of panels) {
      if (ONLY_WITH_TLS.includes(title)) continue;
      for (const { expr, legendFormat } of targets) {
        const uneventful = UNEVENTFUL.includes(title) || UNEVENTFUL.includes(legendFormat);
        const above = uneventful ? Number.NEGATIVE_INFINITY : 0;
        const series = await data(interpolate(expr, RATE_INTERVAL), title, above);
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
          for (const { labels } of series) assert.ok(labels[label], `${label} in ${title}`);
      }
    }
    releaseClient();
    for (const { definition } of templating.list) {
      if (definition === undefined) continue;
      const [, match = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? [];
      const values = await prometheus.labelValues(label, interpolate(match, RATE_INTERVAL));
      if (label === 'route') assert.ok(values.includes('_none') && values.length > 1, definition);
      else assert.equal(values.length, 1, definition);
    }
  });

  it('has data for every example of docs/metrics.md', async () => {
    for (const [name, query] of Object.entries(EXAMPLE_QUERIES))
      if (!ONLY_WITH_TLS.includes(name)) await data(query, name);
  });
});
