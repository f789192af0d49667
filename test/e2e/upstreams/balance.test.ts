import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { eventually } from '../../support/eventually.js';
import type { RouteEntry } from '../../support/gateway/gateway.js';
import type { ChaosUpstream } from '../../support/upstreams/chaos-upstream.js';
import {
  CIRCUIT_OPEN,
  LONG_INTERVAL,
  SeveralEndpoints,
  sizes,
  UNAVAILABLE,
  urls,
} from './several-endpoints.js';

describe('several endpoints', () => {
  const bench = new SeveralEndpoints();
  const retries = async (): Promise<number> =>
    (await bench.gateway.metrics()).sum('ws_proxy_retries_total', { protocol: 'raw' });
  /** Live sessions of an endpoint, as the gateway counts them. */
  async function sessionsOf(upstream: ChaosUpstream): Promise<number> {
    const { body } = await http(`${bench.gateway.http}/admin/upstreams`);
    const { upstreams } = JSON.parse(body) as { upstreams: { upstream: string; sessions: number }[] };
    return upstreams.find((shown) => shown.upstream === `${upstream.url}/`)?.sessions ?? 0;
  }

  it('round-robin: three sessions in a row, three endpoints', async () => {
    await bench.start([{ prefix: '/app', upstream: urls(bench.one, bench.two, bench.three) }]);
    const names: string[] = [];
    for (let index = 0; index < 9; index++) names.push((await bench.serve()).name);
    for (const at of [0, 3, 6])
      assert.deepEqual(
        names.slice(at, at + 3).toSorted((a, b) => a.localeCompare(b)),
        ['one', 'three', 'two'],
        names.join(),
      );
    assert.deepEqual(sizes(await bench.serveMany(30)), { one: 10, two: 10, three: 10 });
  });

  it('least-sessions: who comes at once is spread evenly, and who has lost sessions gets the next ones', async () => {
    await bench.start([
      { prefix: '/app', upstream: urls(bench.one, bench.two, bench.three), balance: 'least-sessions' },
    ]);
    const served = await bench.serveMany(30);
    assert.deepEqual(sizes(served), { one: 10, two: 10, three: 10 });
    await Promise.all(served.two!.splice(0, 6).map((peer) => peer.close()));
    await eventually(async () => (await sessionsOf(bench.two)) === 4);
    assert.deepEqual(sizes(await bench.serveMany(6)), { two: 6 });
    assert.deepEqual(sizes(await bench.serveMany(3)), { one: 1, two: 1, three: 1 });
  });

  it('hash:sub: a subject keeps its endpoint; one that goes moves its own subjects only, and gets them back', async () => {
    const routes = (...upstreams: readonly ChaosUpstream[]): RouteEntry[] => [
      { prefix: '/app', upstream: urls(...upstreams), balance: 'hash:sub' },
    ];
    const subs = Array.from({ length: 40 }, (_, index) => `user-${index}`);
    const homes = async (): Promise<string[]> =>
      (await Promise.all(subs.map((sub) => bench.serve('/app', sub)))).map(({ name }) => name);
    await bench.start(routes(bench.one, bench.two, bench.three));
    const home = await homes();
    for (const name of ['one', 'two', 'three'])
      assert.ok(home.filter((other) => other === name).length >= 4, `${name} has its share of ${home}`);
    assert.deepEqual(await homes(), home);
    // In another order, without one of them.
    await bench.reload(routes(bench.three, bench.one));
    const without = await homes();
    for (const [index, name] of home.entries()) {
      if (name === 'two') assert.notEqual(without[index], 'two');
      else assert.equal(without[index], name, `${subs[index]} had no reason to move`);
    }
    await bench.reload(routes(bench.two, bench.three, bench.one));
    assert.deepEqual(await homes(), home);
  });

  it('hash:sub: while an endpoint is down its subjects go elsewhere, the others stay', async () => {
    await bench.start(
      [{ prefix: '/app', upstream: urls(bench.one, bench.two, bench.three), balance: 'hash:sub' }],
      {
        CB_FAILURE_THRESHOLD: '1',
        CB_HEALTHCHECK_INTERVAL_SECONDS: '0.2',
        WS_DIAL_RETRY_INTERVAL_SECONDS: LONG_INTERVAL,
      },
    );
    const subs = Array.from({ length: 20 }, (_, index) => `user-${index}`);
    const homes = async (): Promise<string[]> =>
      (await Promise.all(subs.map((sub) => bench.serve('/app', sub)))).map(({ name }) => name);
    const home = await homes();
    await bench.two.kill();
    const meanwhile = await homes();
    for (const [index, name] of home.entries()) {
      if (name === 'two') assert.notEqual(meanwhile[index], 'two');
      else assert.equal(meanwhile[index], name);
    }
    await bench.two.restart();
    await eventually(async () => (await bench.circuitOf(bench.two)) === 0);
    assert.deepEqual(await homes(), home);
  });

  it('a refused dial moves on to the next endpoint at once, a hung one after the dial timeout', async () => {
    await bench.start([{ prefix: '/app', upstream: urls(bench.one, bench.two, bench.three) }], {
      WS_DIAL_RETRY_INTERVAL_SECONDS: LONG_INTERVAL,
      WS_DIAL_TIMEOUT_SECONDS: '1',
      CB_FAILURE_THRESHOLD: '1000',
    });
    await bench.one.kill();
    bench.two.pause();
    try {
      assert.deepEqual(sizes(await bench.serveMany(6)), { three: 6 });
      await eventually(() =>
        assert.ok(bench.failedDials(bench.one) >= 2 && bench.failedDials(bench.two) >= 2),
      );
      const made = await retries();
      await eventually(() => assert.equal(bench.failedDials(bench.one) + bench.failedDials(bench.two), made));
    } finally {
      bench.two.resume();
      await bench.one.restart();
    }
  });

  it('WS_DIAL_RETRY_MAX counts attempts over all endpoints; the same one is tried again after the interval', async () => {
    await bench.start(
      [
        { prefix: '/app', upstream: urls(bench.one, bench.two, bench.three) },
        { prefix: '/single', upstream: bench.one.url },
      ],
      {
        WS_DIAL_RETRY_MAX: '2',
        WS_DIAL_RETRY_INTERVAL_SECONDS: '1.5',
        CB_FAILURE_THRESHOLD: '1000',
      },
    );
    await Promise.all([bench.one.kill(), bench.two.kill(), bench.three.kill()]);
    try {
      assert.deepEqual(await (await bench.come()).ended(), UNAVAILABLE);
      assert.equal(await retries(), 1);
      const failed = (): number =>
        bench.failedDials(bench.one) + bench.failedDials(bench.two) + bench.failedDials(bench.three);
      await eventually(() => assert.equal(failed(), 2));
      const startMs = performance.now();
      assert.deepEqual(await (await bench.come('/single')).ended(), UNAVAILABLE);
      assert.ok(performance.now() - startMs > 1400, 'the interval lay between the attempts');
      assert.equal(await retries(), 2);
      await eventually(() => assert.equal(failed(), 4));
    } finally {
      await Promise.all([bench.one.restart(), bench.two.restart(), bench.three.restart()]);
    }
  });

  it('an endpoint whose circuit is open is not dialled; the others share its part', async () => {
    await bench.start([{ prefix: '/app', upstream: urls(bench.one, bench.two, bench.three) }], {
      CB_FAILURE_THRESHOLD: '2',
      CB_OPEN_TIMEOUT_SECONDS: LONG_INTERVAL,
      WS_DIAL_RETRY_INTERVAL_SECONDS: LONG_INTERVAL,
    });
    await bench.two.kill();
    try {
      await bench.serveMany(6);
      assert.equal(await bench.circuitOf(bench.two), 2);
      const before = await retries();
      const served = sizes(await bench.serveMany(30));
      assert.deepEqual(
        Object.keys(served).sort((a, b) => a.localeCompare(b)),
        ['one', 'three'],
      );
      assert.ok(served.one! >= 10 && served.three! >= 10, JSON.stringify(served));
      assert.equal(await retries(), before);
      assert.deepEqual([await bench.circuitOf(bench.one), await bench.circuitOf(bench.three)], [0, 0]);
    } finally {
      await bench.two.restart();
    }
  });

  it('a new endpoint gets its share; sessions on one that went stay, or end 1001 where the route says so', async () => {
    const routes = (...upstreams: readonly ChaosUpstream[]): RouteEntry[] => [
      { prefix: '/app', upstream: urls(...upstreams) },
      { prefix: '/leave', upstream: urls(...upstreams), onRemove: 'close' },
    ];
    await bench.start(routes(bench.one, bench.two));
    const staying = await bench.serveMany(6);
    const leaving = await bench.serveMany(6, '/leave');
    assert.deepEqual(
      [sizes(staying), sizes(leaving)],
      [
        { one: 3, two: 3 },
        { one: 3, two: 3 },
      ],
    );
    await bench.reload(routes(bench.two, bench.three));
    for (const peer of leaving.one!)
      assert.deepEqual(await peer.ended(), { code: 1001, reason: 'Upstream removed' });
    for (const peer of [...leaving.two!, ...staying.one!, ...staying.two!]) {
      peer.send('still here');
      assert.equal(await peer.text(), 'still here');
    }
    assert.deepEqual(sizes(await bench.serveMany(10)), { two: 5, three: 5 });
    const metrics = await bench.gateway.metrics();
    assert.equal(metrics.sum('ws_session_closed_total', { reason: 'endpoint_removed' }), 3);
  });

  it('an endpoint that is down at the start is found when it is there', async () => {
    await Promise.all([bench.one.kill(), bench.two.kill()]);
    await bench.start([{ prefix: '/app', upstream: urls(bench.one, bench.two) }], {
      CB_FAILURE_THRESHOLD: '1',
      CB_OPEN_TIMEOUT_SECONDS: LONG_INTERVAL,
      CB_HEALTHCHECK_INTERVAL_SECONDS: '0.2',
    });
    assert.deepEqual(await (await bench.come()).ended(), UNAVAILABLE);
    assert.deepEqual(await (await bench.come()).ended(), CIRCUIT_OPEN);
    await Promise.all([bench.one.restart(), bench.two.restart()]);
    await eventually(
      async () => (await bench.circuitOf(bench.one)) === 0 && (await bench.circuitOf(bench.two)) === 0,
    );
    assert.deepEqual(sizes(await bench.serveMany(4)), { one: 2, two: 2 });
  });
});
