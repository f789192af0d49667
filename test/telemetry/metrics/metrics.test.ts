import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLOSE_REASONS } from '../../../internal/close-codes.js';
import { PROTOCOLS } from '../../../internal/protocol/protocols.js';
import { BoundedLabel } from '../../../internal/telemetry/metrics/bounded-label.js';
import { SharedRendering } from '../../../internal/telemetry/metrics/exposition.js';
import { Metrics } from '../../../internal/telemetry/metrics/metrics.js';
import { MetricsText } from '../../support/gateway/metrics-text.js';

const NAMES = [
  'ws_connections_total',
  'ws_handshakes_refused_total',
  'ws_refused_total',
  'ws_build_info',
  'ws_auth_failures_total',
  'ws_auth_success_total',
  'ws_active_sessions',
  'ws_connection_duration_seconds',
  'ws_revocations_total',
  'ws_revocations_unsent',
  'ws_bans_total',
  'ws_bans_unsent',
  'ws_activity_dropped_total',
  'ws_protocol_connections_total',
  'ws_proxy_errors_total',
  'ws_proxy_retries_total',
  'ws_circuit_open_total',
  'ws_upstream_health_success_total',
  'ws_upstream_health_failure_total',
  'ws_rate_limit_violations_total',
  'ws_messages_total',
  'ws_bytes_total',
  'ws_session_closed_total',
  'ws_upstream_dials_total',
  'ws_upstream_dial_seconds',
  'ws_auth_seconds',
  'ws_token_cache_total',
  'ws_circuit_state',
  'ws_buffered_bytes',
  'ws_backpressure_total',
  'ws_dependency_up',
  'ws_certificate_expiry_timestamp_seconds',
  'ws_config_reloads_total',
  'ws_unready',
  'ws_workers_replaced_total',
];

describe('the metrics', () => {
  it('are all there from the first scrape, and explained', async () => {
    const text = await new Metrics(10).scrape();
    for (const name of NAMES)
      assert.match(text, new RegExp(`^# HELP ${name} \\S.*\\n# TYPE ${name} `, 'm'), name);
    assert.equal(text.match(/^# TYPE ws_/gm)?.length, NAMES.length, 'and no others');
  });

  it('are zero from the first scrape where the values of a label are known, so that a rate sees the first event', async () => {
    const text = new MetricsText(await new Metrics(10).scrape());
    const reasons = text.all('ws_session_closed_total').map(({ labels }) => labels.reason);
    assert.deepEqual(
      reasons,
      Object.values(CLOSE_REASONS).map(({ name }) => name),
    );
    for (const { protocol } of PROTOCOLS)
      assert.equal(text.all('ws_protocol_connections_total', { protocol })[0]?.value, 0, protocol);
    assert.equal(text.all('ws_config_reloads_total', { result: 'failed' })[0]?.value, 0);
    assert.equal(text.all('ws_backpressure_total').length, 2);
    assert.equal(text.all('ws_handshakes_refused_total', { status: '503' })[0]?.value, 0);
  });

  it('tell routes apart, at most 200 of them, and have the series of a table from the start', async () => {
    const metrics = new Metrics(10);
    metrics.prepareRoutes([{ prefix: '/a' }]);
    const before = new MetricsText(await metrics.scrape());
    for (const name of ['ws_messages_total', 'ws_bytes_total'])
      assert.equal(before.all(name, { route: '/a' }).length, 2 * PROTOCOLS.length, name);
    assert.equal(
      before.all('ws_session_closed_total', { route: '/a' }).length,
      Object.keys(CLOSE_REASONS).length,
    );
    assert.equal(before.sum('ws_upstream_dial_seconds_count', { route: '/a' }), 0);
    const labels = Array.from({ length: 1000 }, (_, index) => metrics.routeLabel({ prefix: `/${index}` }));
    assert.equal(new Set(labels).size, 200);
    assert.deepEqual([labels[0], labels[999]], ['/0', '_other']);
    assert.equal(metrics.routeLabel(undefined), '_none');
  });

  it('T-04: scrapes at the same time share one rendering, and renderings leave time for the rest', async () => {
    const metrics = new Metrics(10);
    let renderings = 0;
    metrics.beforeScrape(() => void renderings++);
    const first = await Promise.all(Array.from({ length: 30 }, () => metrics.scrape()));
    assert.equal(new Set(first).size, 1);
    assert.equal(renderings, 1);
    const startMs = performance.now();
    let busyMs = 0;
    let share = 1;
    const slow = new SharedRendering(async () => {
      const beganMs = performance.now();
      // Of the time until now: the pause that a rendering costs comes behind it.
      share = busyMs / (beganMs - startMs);
      while (performance.now() - beganMs < 10);
      busyMs += performance.now() - beganMs;
      return '';
    });
    for (let round = 0; round < 4; round++) await Promise.all([slow.get(), slow.get()]);
    assert.ok(share < 0.25, `${share}`);
  });

  it('reach a crowd of scrapers a few in each turn of the event loop', async () => {
    const rendering = new SharedRendering(async () => 'text');
    let answered = 0;
    const all = Promise.all(Array.from({ length: 30 }, () => rendering.get().then(() => answered++)));
    const perTurn: number[] = [];
    for (let before = 0; answered < 30; before = answered) {
      await new Promise((resolve) => setImmediate(resolve));
      perTurn.push(answered - before);
    }
    await all;
    assert.ok(Math.max(...perTurn) <= 4, `${perTurn}`);
  });

  it('are written as prom-client writes them', async () => {
    const metrics = new Metrics(10);
    metrics.countAuthSuccess('a"b\\c\nd', 'é');
    metrics.sessions.connections.inc(3);
    metrics.prepareRoutes([{ prefix: '/a' }]);
    metrics.sessions.closed.inc({ reason: 'shutdown', route: '/a' });
    const own = await metrics.scrape();
    metrics.sessions.closed.inc({ reason: 'shutdown', route: '/a' }, 0);
    assert.equal(own, await metrics.registry.metrics());
    assert.equal(await metrics.scrape(), own, 'whoever was told in between');
  });

  it('are one registry each', async () => {
    const [one, other] = [new Metrics(10), new Metrics(10)];
    one.sessions.connections.inc();
    assert.equal(new MetricsText(await other.scrape()).sum('ws_connections_total'), 0);
  });

  it('have no more series than allowed, whoever comes', async () => {
    const metrics = new Metrics(5);
    for (let i = 0; i < 1000; i++) {
      metrics.countAuthSuccess(`sub-${i}`, `name-${i}`);
      metrics.countRateLimitViolation(`key-${i}`);
    }
    const text = new MetricsText(await metrics.scrape());
    assert.ok(text.all('ws_auth_success_total').length <= 6);
    assert.equal(text.sum('ws_auth_success_total'), 1000);
    assert.equal(
      text.all('ws_auth_success_total', { sub: '_other', preferred_username: '_other' })[0]?.value,
      995,
    );
    assert.equal(text.all('ws_rate_limit_violations_total', { key: '_other' })[0]?.value, 995);
  });

  it('survive any label a client chooses', async () => {
    const metrics = new Metrics(20);
    for (const sub of ['a"b', 'a\\b', 'a\nws_forged_total 1', '__proto__', 'constructor', '\ud800', ''])
      metrics.countAuthSuccess(sub, sub);
    const scrape = await metrics.scrape();
    assert.doesNotMatch(scrape, /^ws_forged_total/m);
    assert.equal(new MetricsText(scrape).sum('ws_auth_success_total'), 7);
  });

  it('ask the hooks before every scrape', async () => {
    const metrics = new Metrics(1);
    let asked = 0;
    metrics.beforeScrape(() => metrics.sessions.active.set({ route: '_none' }, ++asked));
    await metrics.scrape();
    assert.match(await metrics.scrape(), /^ws_active_sessions\{route="_none"\} 2$/m);
  });
});

it('a bounded label keeps the first values and calls the rest _other', () => {
  const label = new BoundedLabel(2);
  assert.deepEqual(
    ['a', 'b', 'c', 'a', 'b', '_other'].map((value) => label.of(value)),
    ['a', 'b', '_other', 'a', 'b', '_other'],
  );
  assert.equal(new BoundedLabel(0).of('a'), '_other');
  const routes = new BoundedLabel(1, '_none');
  assert.deepEqual(
    ['_other', '_none', '/a', '_none', '/b'].map((value) => routes.of(value)),
    ['_other', '_none', '/a', '_none', '_other'],
  );
  assert.equal(new BoundedLabel(2).of('x'.repeat(257)), '_other', 'a text is no name');
});
