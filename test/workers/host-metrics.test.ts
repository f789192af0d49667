import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import { HostMetrics } from '../../internal/workers/host-metrics.js';
import { mergeEndpoints } from '../../internal/workers/host-operations.js';
import { MetricsText } from '../support/gateway/metrics-text.js';

/** A worker that has seen something. */
function worker(connections: number, sessions: number, circuit = 0, up = 1): Metrics {
  const metrics = new Metrics(100);
  metrics.sessions.connections.inc(connections);
  metrics.sessions.active.set(sessions);
  metrics.upstreams.circuitState.set({ upstream: 'ws://x/' }, circuit);
  metrics.process.dependencyUp.set({ dependency: 'redis' }, up);
  metrics.sessions.duration.observe(0.3);
  metrics.auth.revocations.inc();
  return metrics;
}

describe('the metrics of a host', () => {
  const text = async (host: HostMetrics, ...workers: Metrics[]) =>
    new MetricsText(await host.text(await Promise.all(workers.map((each) => each.snapshot()))));

  it('add up what was counted, show the worst of what is a state, and revocations once', async () => {
    const own = new Metrics(100);
    own.auth.revocations.inc();
    const sum = await text(new HostMetrics(own), worker(3, 2, 2, 1), worker(4, 1, 1, 0));
    assert.equal(sum.sum('ws_connections_total'), 7);
    assert.equal(sum.sum('ws_active_sessions'), 3);
    assert.equal(sum.sum('ws_circuit_state'), 2);
    assert.equal(sum.sum('ws_dependency_up'), 0);
    assert.equal(sum.sum('ws_revocations_total'), 1);
    assert.equal(sum.sum('ws_connection_duration_seconds_count'), 2);
    assert.equal(sum.sum('ws_connection_duration_seconds_bucket', { le: '0.5' }), 2);
    assert.equal(sum.sum('ws_connection_duration_seconds_bucket', { le: '0.1' }), 0);
  });

  it('keep the counts of ended workers, however many, and not their gauges', async () => {
    const host = new HostMetrics(new Metrics(100));
    for (let i = 1; i <= 50; i++) {
      host.keepEnded(await worker(2, 9).snapshot());
      const sum = await text(host, worker(1, 1));
      assert.equal(sum.sum('ws_connections_total'), 2 * i + 1);
      assert.equal(sum.sum('ws_active_sessions'), 1);
      assert.equal(sum.sum('ws_connection_duration_seconds_count'), i + 1);
    }
  });

  it('bound user-valued labels over all workers, ended ones too', async () => {
    const host = new HostMetrics(new Metrics(3));
    let before = 0;
    for (let i = 0; i < 10; i++) {
      const ended = new Metrics(100);
      ended.countAuthSuccess(`user-${i}`, 'name');
      ended.countRateLimitViolation(`user-${i}`);
      host.keepEnded(await ended.snapshot());
      const sum = await text(host);
      assert.equal(sum.sum('ws_auth_success_total'), i + 1);
      assert.ok(sum.all('ws_auth_success_total').length <= 4);
      assert.ok(sum.all('ws_rate_limit_violations_total').length <= 4);
      const others = sum.sum('ws_auth_success_total', { sub: '_other' });
      assert.ok(others >= before);
      before = others;
    }
    assert.equal(before, 7);
  });

  it('tell 200 routes and upstreams of dials apart over all workers, the same ones in each', async () => {
    const table = Array.from({ length: 300 }, (_, index) => ({ prefix: `/${index}` }));
    const own = new Metrics(100);
    const upstreams = table.map(({ prefix }) => `ws://x${prefix}`);
    own.nameRoutes(table);
    own.nameUpstreams(upstreams);
    const workers = ['a', 'b'].map((name) => {
      const metrics = new Metrics(100);
      metrics.prepareRoutes(table);
      metrics.nameUpstreams(upstreams);
      metrics.upstreams.circuitState.set({ upstream: `ws://${name}/` }, 0);
      // Each meets them in an order of its own.
      for (const route of name === 'a' ? table : table.toReversed()) {
        const upstream = metrics.upstreamLabel(`ws://x${route.prefix}`);
        metrics.upstreams.dials.inc({ route: metrics.routeLabel(route), upstream, result: 'ok' });
        metrics.http.began(route.prefix);
        metrics.http.ended(route.prefix, 'GET', 200, 0.1, 0, 0);
      }
      return metrics;
    });
    const sum = await text(new HostMetrics(own), ...workers);
    for (const name of ['ws_upstream_dials_total', 'http_requests_total']) {
      assert.equal(sum.sum(name), 600);
      assert.equal(new Set(sum.all(name).map(({ labels }) => labels.route)).size, 201, name);
      for (const route of ['/0', '/199']) assert.equal(sum.sum(name, { route }), 2, name);
      assert.equal(sum.sum(name, { route: '_other' }), 200, name);
    }
    const dialled = new Set(sum.all('ws_upstream_dials_total').map(({ labels }) => labels.upstream));
    assert.equal(dialled.size, 201);
    for (const upstream of ['ws://x/0', 'ws://x/199'])
      assert.equal(sum.sum('ws_upstream_dials_total', { upstream }), 2, upstream);
    assert.equal(sum.all('ws_circuit_state').length, 2, 'each endpoint has a circuit');
    assert.ok(sum.all('ws_session_closed_total', { route: '_none' }).length > 0);
  });

  it('show the event loops of workers alone: that of the supervisor is left to sleep', async () => {
    const own = new Metrics(100);
    own.collectProcessMetrics(false);
    const host = new HostMetrics(own);
    const lag = (text: MetricsText) => text.samples.filter(({ name }) => name.includes('eventloop_lag'));
    assert.deepEqual(lag(await text(host)), []);
    const worker = new Metrics(100);
    worker.collectProcessMetrics();
    const both = await text(host, worker);
    assert.equal(lag(both).length, 8);
    assert.ok(both.sum('process_resident_memory_bytes') > 0);
  });

  it('are a whole scrape with nothing but the supervisor', async () => {
    const own = new Metrics(100);
    own.collectProcessMetrics(false);
    const scrape = await text(new HostMetrics(own));
    assert.equal(scrape.sum('ws_connections_total'), 0);
    assert.equal(scrape.all('process_start_time_seconds').length, 1);
  });
});

describe('the upstreams of a host', () => {
  const endpoint = {
    upstream: 'ws://x/',
    circuit: 'closed',
    faults: 1,
    sessions: 2,
    drained: false,
  } as const;

  it('have the sessions of all workers and the worst circuit', () => {
    assert.deepEqual(
      mergeEndpoints([[endpoint], [{ ...endpoint, circuit: 'open', faults: 0, sessions: 0 }]]),
      [{ upstream: 'ws://x/', circuit: 'open', faults: 1, sessions: 2, drained: false }],
    );
  });

  it('may share a name', () => {
    const other = { ...endpoint, sessions: 5 };
    assert.deepEqual(
      mergeEndpoints([
        [endpoint, other],
        [endpoint, other],
      ]).map(({ sessions }) => sessions),
      [4, 10],
    );
  });

  it('need not be the same everywhere', () => {
    const other = { ...endpoint, upstream: 'ws://y/' };
    assert.equal(mergeEndpoints([[endpoint], [other], []]).length, 2);
  });
});
