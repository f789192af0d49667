import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ChaosUpstream } from '../support/chaos-upstream.js';
import { eventually } from '../support/eventually.js';
import { type Gateway, type RouteEntry, startGateway } from '../support/gateway.js';
import { http } from '../support/http.js';
import { type Issuer, startIssuer } from '../support/issuer.js';
import { assertQuiet } from '../support/quiet.js';
import { Peer } from '../support/ws-client.js';

const CIRCUIT_OPEN = { code: 1013, reason: 'Upstream circuit open' };
const UNAVAILABLE = { code: 1014, reason: 'Upstream unavailable' };
/** Far longer than a test: whoever waited for it would fail. */
const LONG_INTERVAL = '300';

/** Sessions by the name of the endpoint that serves them. */
type Served = Record<string, Peer[]>;

describe('several endpoints', () => {
  let issuer: Issuer;
  let one: ChaosUpstream;
  let two: ChaosUpstream;
  let three: ChaosUpstream;
  let gateway: Gateway;
  let open: Peer[] = [];

  before(async () => {
    issuer = await startIssuer();
    const names = ['one', 'two', 'three'];
    const started = await Promise.all(names.map((name) => ChaosUpstream.start(name)));
    [one, two, three] = started as [ChaosUpstream, ChaosUpstream, ChaosUpstream];
  });
  afterEach(async () => {
    for (const upstream of [one, two, three]) upstream.resume();
    for (const peer of open) peer.socket.terminate();
    open = [];
    await assertQuiet(gateway);
    await gateway.stop();
  });
  after(async () => {
    await Promise.all([one, two, three].map((upstream) => upstream?.stop()));
    await issuer.close();
  });

  async function start(
    routes: readonly RouteEntry[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    gateway = await startGateway({ env: { JWKS_URL: issuer.jwksUrl, ...env }, routes });
  }
  const urls = (...upstreams: readonly ChaosUpstream[]): string[] => upstreams.map(({ url }) => url);

  /** A client whose 101 does not wait for the dial. */
  async function come(path = '/app', sub = 'alice'): Promise<Peer> {
    const peer = await Peer.open(gateway.ws + path);
    open.push(peer);
    peer.send(issuer.sign({ sub }));
    return peer;
  }
  /** Opens a session and asks who serves it. */
  async function serve(path = '/app', sub = 'alice'): Promise<{ peer: Peer; name: string }> {
    const peer = await come(path, sub);
    peer.send('who');
    return { peer, name: await peer.text() };
  }
  async function serveMany(count: number, path = '/app'): Promise<Served> {
    const all = await Promise.all(Array.from({ length: count }, () => serve(path)));
    const served: Served = {};
    for (const { peer, name } of all) served[name] = [...(served[name] ?? []), peer];
    return served;
  }
  const sizes = (served: Served): Record<string, number> =>
    Object.fromEntries(Object.entries(served).map(([name, peers]) => [name, peers.length]));

  async function reload(routes: readonly RouteEntry[]): Promise<void> {
    const reloads = async (): Promise<number> => (await gateway.metrics()).sum('ws_config_reloads_total');
    const before = await reloads();
    await gateway.writeRoutes(routes);
    await eventually(async () => (await reloads()) > before);
  }
  async function circuitOf(upstream: ChaosUpstream): Promise<number | undefined> {
    const samples = (await gateway.metrics()).all('ws_circuit_state');
    return samples.find(({ labels }) => labels.upstream === `${upstream.url}/`)?.value;
  }
  const retries = async (): Promise<number> =>
    (await gateway.metrics()).sum('ws_proxy_retries_total', { protocol: 'raw' });
  /** Live sessions of an endpoint, as the gateway counts them. */
  async function sessionsOf(upstream: ChaosUpstream): Promise<number> {
    const { body } = await http(`${gateway.http}/admin/upstreams`);
    const { upstreams } = JSON.parse(body) as { upstreams: { upstream: string; sessions: number }[] };
    return upstreams.find((shown) => shown.upstream === `${upstream.url}/`)?.sessions ?? 0;
  }
  /** Log lines, which come a moment after what they tell of. */
  const failedDials = (upstream: ChaosUpstream): number =>
    gateway.logs.filter((line) => line.msg === 'dial failed' && line.upstream === `${upstream.url}/`).length;

  it('round-robin: three sessions in a row, three endpoints', async () => {
    await start([{ prefix: '/app', upstream: urls(one, two, three) }]);
    const names: string[] = [];
    for (let index = 0; index < 9; index++) names.push((await serve()).name);
    for (const at of [0, 3, 6])
      assert.deepEqual(
        names.slice(at, at + 3).toSorted((a, b) => a.localeCompare(b)),
        ['one', 'three', 'two'],
        names.join(),
      );
    assert.deepEqual(sizes(await serveMany(30)), { one: 10, two: 10, three: 10 });
  });

  it('least-sessions: who comes at once is spread evenly, and who has lost sessions gets the next ones', async () => {
    await start([{ prefix: '/app', upstream: urls(one, two, three), balance: 'least-sessions' }]);
    const served = await serveMany(30);
    assert.deepEqual(sizes(served), { one: 10, two: 10, three: 10 });
    await Promise.all(served.two!.splice(0, 6).map((peer) => peer.close()));
    await eventually(async () => (await sessionsOf(two)) === 4);
    assert.deepEqual(sizes(await serveMany(6)), { two: 6 });
    assert.deepEqual(sizes(await serveMany(3)), { one: 1, two: 1, three: 1 });
  });

  it('hash:sub: a subject keeps its endpoint; one that goes moves its own subjects only, and gets them back', async () => {
    const routes = (...upstreams: readonly ChaosUpstream[]): RouteEntry[] => [
      { prefix: '/app', upstream: urls(...upstreams), balance: 'hash:sub' },
    ];
    const subs = Array.from({ length: 40 }, (_, index) => `user-${index}`);
    const homes = async (): Promise<string[]> =>
      (await Promise.all(subs.map((sub) => serve('/app', sub)))).map(({ name }) => name);
    await start(routes(one, two, three));
    const home = await homes();
    for (const name of ['one', 'two', 'three'])
      assert.ok(home.filter((other) => other === name).length >= 4, `${name} has its share of ${home}`);
    assert.deepEqual(await homes(), home);
    // In another order, without one of them.
    await reload(routes(three, one));
    const without = await homes();
    for (const [index, name] of home.entries()) {
      if (name === 'two') assert.notEqual(without[index], 'two');
      else assert.equal(without[index], name, `${subs[index]} had no reason to move`);
    }
    await reload(routes(two, three, one));
    assert.deepEqual(await homes(), home);
  });

  it('hash:sub: while an endpoint is down its subjects go elsewhere, the others stay', async () => {
    await start([{ prefix: '/app', upstream: urls(one, two, three), balance: 'hash:sub' }], {
      CB_FAILURE_THRESHOLD: '1',
      CB_HEALTHCHECK_INTERVAL_SECONDS: '0.2',
      WS_DIAL_RETRY_INTERVAL_SECONDS: LONG_INTERVAL,
    });
    const subs = Array.from({ length: 20 }, (_, index) => `user-${index}`);
    const homes = async (): Promise<string[]> =>
      (await Promise.all(subs.map((sub) => serve('/app', sub)))).map(({ name }) => name);
    const home = await homes();
    await two.kill();
    const meanwhile = await homes();
    for (const [index, name] of home.entries()) {
      if (name === 'two') assert.notEqual(meanwhile[index], 'two');
      else assert.equal(meanwhile[index], name);
    }
    await two.restart();
    await eventually(async () => (await circuitOf(two)) === 0);
    assert.deepEqual(await homes(), home);
  });

  it('a refused dial moves on to the next endpoint at once, a hung one after the dial timeout', async () => {
    await start([{ prefix: '/app', upstream: urls(one, two, three) }], {
      WS_DIAL_RETRY_INTERVAL_SECONDS: LONG_INTERVAL,
      WS_DIAL_TIMEOUT_SECONDS: '1',
      CB_FAILURE_THRESHOLD: '1000',
    });
    await one.kill();
    two.pause();
    try {
      assert.deepEqual(sizes(await serveMany(6)), { three: 6 });
      await eventually(() => assert.ok(failedDials(one) >= 2 && failedDials(two) >= 2));
      const made = await retries();
      await eventually(() => assert.equal(failedDials(one) + failedDials(two), made));
    } finally {
      two.resume();
      await one.restart();
    }
  });

  it('WS_DIAL_RETRY_MAX counts attempts over all endpoints; the same one is tried again after the interval', async () => {
    await start(
      [
        { prefix: '/app', upstream: urls(one, two, three) },
        { prefix: '/single', upstream: one.url },
      ],
      {
        WS_DIAL_RETRY_MAX: '2',
        WS_DIAL_RETRY_INTERVAL_SECONDS: '1.5',
        CB_FAILURE_THRESHOLD: '1000',
      },
    );
    await Promise.all([one.kill(), two.kill(), three.kill()]);
    try {
      assert.deepEqual(await (await come()).ended(), UNAVAILABLE);
      assert.equal(await retries(), 1);
      const failed = (): number => failedDials(one) + failedDials(two) + failedDials(three);
      await eventually(() => assert.equal(failed(), 2));
      const startMs = performance.now();
      assert.deepEqual(await (await come('/single')).ended(), UNAVAILABLE);
      assert.ok(performance.now() - startMs > 1400, 'the interval lay between the attempts');
      assert.equal(await retries(), 2);
      await eventually(() => assert.equal(failed(), 4));
    } finally {
      await Promise.all([one.restart(), two.restart(), three.restart()]);
    }
  });

  it('an endpoint whose circuit is open is not dialled; the others share its part', async () => {
    await start([{ prefix: '/app', upstream: urls(one, two, three) }], {
      CB_FAILURE_THRESHOLD: '2',
      CB_OPEN_TIMEOUT_SECONDS: LONG_INTERVAL,
      WS_DIAL_RETRY_INTERVAL_SECONDS: LONG_INTERVAL,
    });
    await two.kill();
    try {
      await serveMany(6);
      assert.equal(await circuitOf(two), 2);
      const before = await retries();
      const served = sizes(await serveMany(30));
      assert.deepEqual(
        Object.keys(served).sort((a, b) => a.localeCompare(b)),
        ['one', 'three'],
      );
      assert.ok(served.one! >= 10 && served.three! >= 10, JSON.stringify(served));
      assert.equal(await retries(), before);
      assert.deepEqual([await circuitOf(one), await circuitOf(three)], [0, 0]);
    } finally {
      await two.restart();
    }
  });

  it('a new endpoint gets its share; sessions on one that went stay, or end 1001 where the route says so', async () => {
    const routes = (...upstreams: readonly ChaosUpstream[]): RouteEntry[] => [
      { prefix: '/app', upstream: urls(...upstreams) },
      { prefix: '/leave', upstream: urls(...upstreams), onRemove: 'close' },
    ];
    await start(routes(one, two));
    const staying = await serveMany(6);
    const leaving = await serveMany(6, '/leave');
    assert.deepEqual(
      [sizes(staying), sizes(leaving)],
      [
        { one: 3, two: 3 },
        { one: 3, two: 3 },
      ],
    );
    await reload(routes(two, three));
    for (const peer of leaving.one!)
      assert.deepEqual(await peer.ended(), { code: 1001, reason: 'Upstream removed' });
    for (const peer of [...leaving.two!, ...staying.one!, ...staying.two!]) {
      peer.send('still here');
      assert.equal(await peer.text(), 'still here');
    }
    assert.deepEqual(sizes(await serveMany(10)), { two: 5, three: 5 });
    const metrics = await gateway.metrics();
    assert.equal(metrics.sum('ws_session_closed_total', { reason: 'endpoint_removed' }), 3);
  });

  describe('health checks', () => {
    const SECRET = 'Bearer';
    const HEALTH_ENV = { CB_HEALTHCHECK_INTERVAL_SECONDS: '0.2', CB_OPEN_TIMEOUT_SECONDS: LONG_INTERVAL };
    /** Requests of a kind that an upstream saw from now on. */
    function counter(upstream: ChaosUpstream, kind: 'http' | 'probe'): () => number {
      const before = upstream.count(kind);
      return () => upstream.count(kind) - before;
    }

    it('go by HTTP where the route says so, with nobody’s credentials, and close the circuit on that status alone', async () => {
      const openings = [one, two].map((upstream) => counter(upstream, 'probe'));
      const seenBefore = one.seen.length;
      await start(
        [
          {
            prefix: '/app',
            upstream: urls(one, two),
            health: { path: '/up?deep=1', status: 204 },
            preserveQuery: true,
          },
        ],
        { ...HEALTH_ENV, CB_FAILURE_THRESHOLD: '1' },
      );
      await serveMany(4, '/app?color=blue');
      await one.kill();
      await serveMany(2);
      assert.equal(await circuitOf(one), 2);
      await one.restart();
      const failures = async (): Promise<number> =>
        (await gateway.metrics()).sum('ws_upstream_health_failure_total');
      const failedBefore = await failures();
      const asked = counter(one, 'http');
      await eventually(async () => asked() >= 3 && (await failures()) > failedBefore);
      assert.equal(await circuitOf(one), 2, '200 is not the 204 that was asked for');
      await one.answerHttp(204);
      await eventually(async () => (await circuitOf(one)) === 0);
      assert.deepEqual(sizes(await serveMany(4)), { one: 2, two: 2 });

      const probes = one.seen.slice(seenBefore).filter(({ kind }) => kind === 'http');
      for (const { target, headers } of probes) {
        assert.equal(target, '/up?deep=1');
        assert.deepEqual(
          Object.keys(headers).sort((a, b) => a.localeCompare(b)),
          ['connection', 'host'],
        );
        assert.equal(headers.host, `127.0.0.1:${one.port}`);
      }
      for (const count of openings) assert.equal(count(), 0, 'no opening handshake stands in for it');
      await one.answerHttp(200);
    });

    it('are opening handshakes otherwise: one per endpoint, not per route, session or query', async () => {
      const seenBefore = one.seen.length;
      const [probesOfOne, probesOfTwo] = [counter(one, 'probe'), counter(two, 'probe')];
      await start(
        [
          { prefix: '/app', upstream: urls(one, two), preserveQuery: true },
          { prefix: '/again', upstream: one.url, requireRoles: ['none-has-it'] },
          { prefix: '/third', upstream: one.url, protocol: 'raw' },
        ],
        HEALTH_ENV,
      );
      await serveMany(10, '/app?color=blue');
      await serveMany(10, '/third');
      await eventually(() => probesOfTwo() >= 10);
      const ratio = probesOfOne() / probesOfTwo();
      assert.ok(ratio > 0.5 && ratio < 2, `${probesOfOne()} probes of one, ${probesOfTwo()} of two`);
      const probes = one.seen.slice(seenBefore).filter(({ kind }) => kind === 'probe');
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
      await start([{ prefix: '/app', upstream: urls(one, two) }], HEALTH_ENV);
      const probesOfOne = counter(one, 'probe');
      await eventually(() => probesOfOne() >= 2);
      await reload([{ prefix: '/app', upstream: two.url }]);
      // One that was under way may still arrive; the other endpoint's probes tell the time.
      const [late, clock] = [counter(one, 'probe'), counter(two, 'probe')];
      await eventually(() => clock() >= 3);
      const stopped = counter(one, 'probe');
      assert.ok(late() <= 1);
      await eventually(() => clock() >= 13);
      assert.equal(stopped(), 0);
    });
  });

  describe('half-open', () => {
    const LONE_ENV = { WS_DIAL_RETRY_MAX: '1', CB_FAILURE_THRESHOLD: '1', CB_OPEN_TIMEOUT_SECONDS: '1' };

    it('200 clients at once are one dial: the others hear 1013 at once, and its success lets everybody in', async () => {
      await start([{ prefix: '/app', upstream: one.url }], { ...LONE_ENV, WS_DIAL_TIMEOUT_SECONDS: '60' });
      await one.kill();
      assert.deepEqual(await (await come()).ended(), UNAVAILABLE);
      assert.equal(await circuitOf(one), 2);
      await one.restart();
      const dialsBefore = one.count('session');
      one.pause();
      await eventually(async () => {
        const early = await come();
        return (
          (await Promise.race([early.closed, eventually(async () => (await circuitOf(one)) === 1, 500)])) ===
          true
        );
      });
      const others = await Promise.all(Array.from({ length: 200 }, () => come()));
      for (const other of others) assert.deepEqual(await other.ended(), CIRCUIT_OPEN);
      const trial = open.find((peer) => peer.socket.readyState === peer.socket.OPEN);
      assert.ok(trial, 'the trial still waits');
      one.resume();
      trial.send('who');
      assert.equal(await trial.text(), 'one');
      assert.equal(one.count('session') - dialsBefore, 1);
      assert.equal(await circuitOf(one), 0);
      assert.deepEqual(sizes(await serveMany(200)), { one: 200 });
    });

    it('its failure shuts out everybody again, after one dial, and no trial comes before the open timeout', async () => {
      await start([{ prefix: '/app', upstream: one.url }], LONE_ENV);
      await one.kill();
      try {
        assert.deepEqual(await (await come()).ended(), UNAVAILABLE);
        // Clients without pause, over several open timeouts: each of those sees exactly one of them dialled.
        const ends = new Map<string, number>();
        await eventually(async () => {
          const crowd = await Promise.all(Array.from({ length: 20 }, () => come()));
          for (const peer of crowd) {
            const { reason } = await peer.ended();
            ends.set(reason, (ends.get(reason) ?? 0) + 1);
          }
          return failedDials(one) >= 6;
        }, 60_000);
        const times = (circuit: string): number[] =>
          gateway.logs
            .filter((line) => line.msg === 'circuit changed' && line.circuit === circuit)
            .map((line) => Date.parse(String(line.time)));
        // The last lines may still be on their way: no client is dialled for any more.
        const [opened, trials] = await eventually(() => {
          const [openings, attempts] = [times('open'), times('half-open')];
          assert.equal(openings.length, attempts.length + 1);
          assert.equal(failedDials(one), openings.length, 'one dial a trial');
          return [openings, attempts] as const;
        });
        assert.ok(trials.length >= 5);
        for (const [index, trialMs] of trials.entries()) {
          const waitedMs = trialMs - opened[index]!;
          // The log's clock knows whole milliseconds.
          assert.ok(waitedMs >= 999, `trial ${index} after ${waitedMs} ms`);
        }
        assert.equal(ends.get(UNAVAILABLE.reason), trials.length);
        assert.ok(ends.get(CIRCUIT_OPEN.reason)! > trials.length);
        assert.equal(ends.size, 2);
      } finally {
        await one.restart();
      }
    });
  });

  it('an endpoint that is down at the start is found when it is there', async () => {
    await Promise.all([one.kill(), two.kill()]);
    await start([{ prefix: '/app', upstream: urls(one, two) }], {
      CB_FAILURE_THRESHOLD: '1',
      CB_OPEN_TIMEOUT_SECONDS: LONG_INTERVAL,
      CB_HEALTHCHECK_INTERVAL_SECONDS: '0.2',
    });
    assert.deepEqual(await (await come()).ended(), UNAVAILABLE);
    assert.deepEqual(await (await come()).ended(), CIRCUIT_OPEN);
    await Promise.all([one.restart(), two.restart()]);
    await eventually(async () => (await circuitOf(one)) === 0 && (await circuitOf(two)) === 0);
    assert.deepEqual(sizes(await serveMany(4)), { one: 2, two: 2 });
  });
});
