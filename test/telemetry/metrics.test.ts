import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLOSE_REASONS } from '../../internal/close-codes.js';
import { PROTOCOLS } from '../../internal/protocol/protocols.js';
import { BoundedLabel } from '../../internal/telemetry/bounded-label.js';
import { Metrics } from '../../internal/telemetry/metrics.js';
import { MetricsText } from '../support/metrics-text.js';

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
  'ws_upstream_dial_seconds',
  'ws_auth_seconds',
  'ws_token_cache_total',
  'ws_circuit_state',
  'ws_buffered_bytes',
  'ws_backpressure_total',
  'ws_dependency_up',
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
    for (const name of ['ws_messages_total', 'ws_bytes_total']) assert.equal(text.all(name).length, 4, name);
    for (const { protocol } of PROTOCOLS)
      assert.equal(text.all('ws_protocol_connections_total', { protocol })[0]?.value, 0, protocol);
    assert.equal(text.all('ws_config_reloads_total', { result: 'failed' })[0]?.value, 0);
    assert.equal(text.all('ws_backpressure_total').length, 2);
    assert.equal(text.all('ws_handshakes_refused_total', { status: '503' })[0]?.value, 0);
  });

  it('are one registry each', async () => {
    const [one, other] = [new Metrics(10), new Metrics(10)];
    one.connections.inc();
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
    metrics.beforeScrape(() => metrics.activeSessions.set(++asked));
    await metrics.scrape();
    assert.match(await metrics.scrape(), /^ws_active_sessions 2$/m);
  });
});

it('a bounded label keeps the first values and calls the rest _other', () => {
  const label = new BoundedLabel(2);
  assert.deepEqual(
    ['a', 'b', 'c', 'a', 'b', '_other'].map((value) => label.of(value)),
    ['a', 'b', '_other', 'a', 'b', '_other'],
  );
  assert.equal(new BoundedLabel(0).of('a'), '_other');
  assert.equal(new BoundedLabel(2).of('x'.repeat(257)), '_other', 'a text is no name');
});
