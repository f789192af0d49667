import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../../support/eventually.js';
import type { ChaosUpstream } from '../../support/upstreams/chaos-upstream.js';
import { LONG_INTERVAL, SeveralEndpoints, sizes, urls } from './several-endpoints.js';

describe('health checks', () => {
  const bench = new SeveralEndpoints();
  const SECRET = 'Bearer';
  const HEALTH_ENV = { CB_HEALTHCHECK_INTERVAL_SECONDS: '0.2', CB_OPEN_TIMEOUT_SECONDS: LONG_INTERVAL };
  /** Requests of a kind that an upstream saw from now on. */
  function counter(upstream: ChaosUpstream, kind: 'http' | 'probe'): () => number {
    const before = upstream.count(kind);
    return () => upstream.count(kind) - before;
  }

  it('go by HTTP where the route says so, with nobody’s credentials, and close the circuit on that status alone', async () => {
    const openings = [bench.one, bench.two].map((upstream) => counter(upstream, 'probe'));
    const seenBefore = bench.one.seen.length;
    await bench.start(
      [
        {
          prefix: '/app',
          upstream: urls(bench.one, bench.two),
          health: { path: '/up?deep=1', status: 204 },
          preserveQuery: true,
        },
      ],
      { ...HEALTH_ENV, CB_FAILURE_THRESHOLD: '1' },
    );
    await bench.serveMany(4, '/app?color=blue');
    await bench.one.kill();
    await bench.serveMany(2);
    assert.equal(await bench.circuitOf(bench.one), 2);
    await bench.one.restart();
    const failures = async (): Promise<number> =>
      (await bench.gateway.metrics()).sum('ws_upstream_health_failure_total');
    const failedBefore = await failures();
    const asked = counter(bench.one, 'http');
    await eventually(async () => asked() >= 3 && (await failures()) > failedBefore);
    assert.equal(await bench.circuitOf(bench.one), 2, '200 is not the 204 that was asked for');
    await bench.one.answerHttp(204);
    await eventually(async () => (await bench.circuitOf(bench.one)) === 0);
    assert.deepEqual(sizes(await bench.serveMany(4)), { one: 2, two: 2 });

    const probes = bench.one.seen.slice(seenBefore).filter(({ kind }) => kind === 'http');
    for (const { target, headers } of probes) {
      assert.equal(target, '/up?deep=1');
      assert.deepEqual(
        Object.keys(headers).sort((a, b) => a.localeCompare(b)),
        ['connection', 'host'],
      );
      assert.equal(headers.host, `127.0.0.1:${bench.one.port}`);
    }
    for (const count of openings) assert.equal(count(), 0, 'no opening handshake stands in for it');
    await bench.one.answerHttp(200);
  });

  it('are opening handshakes otherwise: one per endpoint, not per route, session or query', async () => {
    const seenBefore = bench.one.seen.length;
    const [probesOfOne, probesOfTwo] = [counter(bench.one, 'probe'), counter(bench.two, 'probe')];
    await bench.start(
      [
        { prefix: '/app', upstream: urls(bench.one, bench.two), preserveQuery: true },
        { prefix: '/again', upstream: bench.one.url, requireRoles: ['none-has-it'] },
        { prefix: '/third', upstream: bench.one.url, protocol: 'raw' },
      ],
      HEALTH_ENV,
    );
    await bench.serveMany(10, '/app?color=blue');
    await bench.serveMany(10, '/third');
    await eventually(() => probesOfTwo() >= 10);
    const ratio = probesOfOne() / probesOfTwo();
    assert.ok(ratio > 0.5 && ratio < 2, `${probesOfOne()} probes of one, ${probesOfTwo()} of two`);
    const probes = bench.one.seen.slice(seenBefore).filter(({ kind }) => kind === 'probe');
    for (const { target, headers } of probes) {
      assert.equal(target, '/');
      const personal = Object.keys(headers).filter((name) =>
        /^(authorization|cookie|x-.*|origin)$/.test(name),
      );
      assert.deepEqual(personal, []);
      assert.ok(!JSON.stringify(headers).includes(SECRET));
    }
  });

  it('end for an endpoint that a reload takes away', async () => {
    await bench.start([{ prefix: '/app', upstream: urls(bench.one, bench.two) }], HEALTH_ENV);
    const probesOfOne = counter(bench.one, 'probe');
    await eventually(() => probesOfOne() >= 2);
    await bench.reload([{ prefix: '/app', upstream: bench.two.url }]);
    // One that was under way may still arrive; the other endpoint's probes tell the time.
    const [late, clock] = [counter(bench.one, 'probe'), counter(bench.two, 'probe')];
    await eventually(() => clock() >= 3);
    const stopped = counter(bench.one, 'probe');
    assert.ok(late() <= 1);
    await eventually(() => clock() >= 13);
    assert.equal(stopped(), 0);
  });
});
