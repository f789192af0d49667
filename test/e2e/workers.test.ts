import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { eventually, within } from '../support/eventually.js';
import { type Gateway, runGateway, startGateway } from '../support/gateway.js';
import { http } from '../support/http.js';
import { type Issuer, startIssuer } from '../support/issuer.js';
import { assertQuiet } from '../support/quiet.js';
import { startRedis } from '../support/redis-server.js';
import { startEcho, type Upstream } from '../support/upstream.js';
import { Peer } from '../support/ws-client.js';

const WORKERS = 2;
const SHUTDOWN = { code: 1001, reason: 'Server shutting down' };
const BANNED = { code: 1008, reason: 'Banned' };
const REVOKED = { code: 1008, reason: 'Token revoked' };
/** So many sessions that the kernel leaves no worker without one: it would in one of half a million runs. */
const CROWD = 20;

const BURST = 20;
const LIMITED = { RATE_LIMIT_PER_SECOND: '0.01', RATE_LIMIT_BURST: String(BURST) };

/** The burst, one lease of overshoot for each worker, and a token for the time the test takes. */
function assertOneLimit(passed: number): void {
  assert.ok(passed >= BURST / 2 && passed <= BURST + WORKERS * (BURST / 10) + 1, `${passed} passed`);
}

/** Process ids of the workers, latest first start of each number last. */
function started(gateway: Gateway): readonly { readonly worker: number; readonly pid: number }[] {
  return gateway.logs
    .filter(({ msg }) => msg === 'worker started')
    .map(({ worker, pid }) => ({ worker: Number(worker), pid: Number(pid) }));
}

function pidOf(gateway: Gateway, worker: number): number {
  return started(gateway).findLast((each) => each.worker === worker)!.pid;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function killWorker(gateway: Gateway, worker: number): Promise<void> {
  const before = started(gateway).length;
  process.kill(pidOf(gateway, worker), 'SIGKILL');
  await eventually(() => started(gateway).length > before, 30_000);
}

describe('several workers', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let gateway: Gateway;
  let routes: { prefix: string; upstream: string; auth?: string }[];

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    routes = [
      { prefix: '/echo', upstream: echo.url },
      { prefix: '/open', upstream: echo.url, auth: 'public' },
    ];
    gateway = await start();
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), issuer.close()]);
  });
  afterEach(async () => {
    echo.reset();
    if (gateway.child.alive) await assertQuiet(gateway, { upstreams: [echo] });
  });

  async function start(env: Readonly<Record<string, string>> = {}): Promise<Gateway> {
    const gateway = await startGateway({
      env: { WORKERS: String(WORKERS), JWKS_URL: issuer.jwksUrl, ...env },
      routes,
    });
    await eventually(() => gateway.logs.some(({ msg }) => msg === 'all workers are listening'), 30_000);
    return gateway;
  }
  const open = (of: Gateway, token = issuer.sign()): Promise<Peer> => Peer.open(`${of.ws}/echo`, { token });
  const crowd = (of: Gateway, token?: string): Promise<Peer[]> =>
    Promise.all(Array.from({ length: CROWD }, () => open(of, token)));
  const closedBy = (of: Gateway): number[] =>
    of.logs.filter(({ msg }) => msg === 'session closed').map(({ worker }) => Number(worker));

  /** Sends from many sessions of one subject until all are refused. @returns how many messages passed. */
  async function passing(of: Gateway, sub: string): Promise<number> {
    let passed = 0;
    const peers = await crowd(of, issuer.sign({ sub }));
    await Promise.all(
      peers.map(async (peer) => {
        for (let i = 0; i < BURST; i++) {
          peer.send('x');
          try {
            await peer.next();
          } catch {
            break;
          }
          passed++;
        }
        assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Rate limit exceeded' });
      }),
    );
    return passed;
  }

  it('share one port about evenly', async () => {
    const before = closedBy(gateway).length;
    for (let batch = 0; batch < 8; batch++) {
      const peers = await Promise.all(Array.from({ length: 50 }, () => Peer.open(`${gateway.ws}/open`)));
      await Promise.all(peers.map((peer) => peer.close()));
    }
    await eventually(() => closedBy(gateway).length === before + 400);
    const first = closedBy(gateway)
      .slice(before)
      .filter((worker) => worker === 1).length;
    assert.ok(first >= 180 && first <= 220, `worker 1 had ${first} of 400`);
  });

  it('answer a scrape with the sum over all of them, whoever is asked', async () => {
    const before = await gateway.metrics();
    const peers = await crowd(gateway);
    for (const peer of peers) {
      peer.send('12345678');
      await peer.next();
    }
    for (let i = 0; i < 5; i++) {
      const now = await gateway.metrics();
      const grown = (name: string) => now.sum(name) - before.sum(name);
      assert.equal(now.sum('ws_active_sessions'), CROWD);
      assert.equal(grown('ws_connections_total'), CROWD);
      assert.equal(grown('ws_messages_total'), 2 * CROWD);
      assert.equal(grown('ws_bytes_total'), 16 * CROWD);
      assert.equal(grown('ws_auth_seconds_count'), CROWD);
      assert.equal(now.all('ws_circuit_state').length, 1);
      assert.deepEqual(
        now.all('ws_dependency_up', { dependency: 'jwks' }).map(({ value }) => value),
        [1],
      );
      assert.equal(now.all('process_start_time_seconds').length, 1);
      assert.ok(now.sum('process_resident_memory_bytes') > WORKERS * 40_000_000);
    }
    await Promise.all(peers.map((peer) => peer.close()));
  });

  it('keep METRICS_MAX_USERS over all of them', async (t) => {
    const bounded = await start({ METRICS_MAX_USERS: '3' });
    t.after(() => bounded.stop());
    for (let i = 0; i < CROWD; i++) await (await open(bounded, issuer.sign({ sub: `user-${i}` }))).close();
    const metrics = await bounded.metrics();
    assert.equal(metrics.sum('ws_auth_success_total'), CROWD);
    assert.equal(new Set(metrics.all('ws_auth_success_total').map(({ labels }) => labels.sub)).size, 4);
  });

  it('are replaced when they are killed; the others go on, and no counter goes back', async () => {
    const peers = await crowd(gateway);
    const before = await gateway.metrics();
    const old = pidOf(gateway, 1);
    await killWorker(gateway, 1);
    assert.notEqual(pidOf(gateway, 1), old);
    const survivors = peers.filter((peer) => peer.socket.readyState === peer.socket.OPEN);
    assert.ok(survivors.length > 0 && survivors.length < CROWD, `${survivors.length} survive`);
    for (const peer of survivors) {
      peer.send('still there');
      assert.equal(await peer.text(), 'still there');
    }
    const during = await gateway.metrics();
    assert.equal(during.sum('ws_active_sessions'), survivors.length);
    const newcomers = await crowd(gateway);
    const after = await gateway.metrics();
    for (const { name, labels, value } of before.samples) {
      if (!/^(ws_.*|process_cpu_.*)_(total|count|bucket|sum)$/.test(name)) continue;
      const [then] = during.all(name, labels);
      const [now] = after.all(name, labels);
      assert.ok(then && then.value >= value, `${name} ${JSON.stringify(labels)} went back`);
      assert.ok(now && now.value >= then.value, `${name} ${JSON.stringify(labels)} went back`);
    }
    assert.equal(after.sum('ws_connections_total') - before.sum('ws_connections_total'), CROWD);
    assert.equal(after.sum('ws_workers_replaced_total') - before.sum('ws_workers_replaced_total'), 1);
    await Promise.all([...survivors, ...newcomers].map((peer) => peer.close()));
  });

  it('carry out a revocation all of them, and a replacement knows it', async () => {
    const token = issuer.sign({ sub: 'ann', jti: 'ann-1' });
    const peers = await crowd(gateway, token);
    const before = (await gateway.metrics()).sum('ws_revocations_total');
    const revoke = () =>
      http(`${gateway.http}/admin/revoke`, { method: 'POST', body: '{"sub":"ann","jti":"ann-1"}' });
    const answer = await revoke();
    assert.equal(answer.status, 200);
    assert.deepEqual(JSON.parse(answer.body), { revoked: true, sessionsClosed: CROWD, propagated: true });
    for (const peer of peers) assert.deepEqual(await peer.ended(), REVOKED);
    await eventually(async () => (await gateway.metrics()).sum('ws_revocations_total') === before + 1);
    for (const peer of await crowd(gateway, token)) assert.deepEqual(await peer.ended(), REVOKED);
    await killWorker(gateway, 1);
    await killWorker(gateway, 2);
    for (const peer of await crowd(gateway, token)) assert.deepEqual(await peer.ended(), REVOKED);
    assert.equal((JSON.parse((await revoke()).body) as { sessionsClosed: number }).sessionsClosed, 0);
  });

  it('carry out a ban all of them, and a replacement knows it; lifted, it is lifted in all', async () => {
    const token = issuer.sign({ sub: 'mallory' });
    const peers = await crowd(gateway, token);
    const body = JSON.stringify({ sub: 'mallory', reason: 'spam' });
    const answer = await http(`${gateway.http}/admin/bans`, { method: 'POST', body });
    assert.deepEqual(JSON.parse(answer.body), {
      sub: 'mallory',
      reason: 'spam',
      until: null,
      persisted: false,
    });
    for (const peer of peers) assert.deepEqual(await peer.ended(), BANNED);
    await killWorker(gateway, 1);
    await killWorker(gateway, 2);
    for (const peer of await crowd(gateway, token)) assert.deepEqual(await peer.ended(), BANNED);
    const lift = () => http(`${gateway.http}/admin/bans/mallory`, { method: 'DELETE' });
    assert.equal((await lift()).status, 204);
    // Each worker is asked on a connection of its own.
    for (let i = 0; i < CROWD; i++) await eventually(async () => (await lift()).status === 404);
    for (const peer of await crowd(gateway, token)) await peer.close();
  });

  it('take over a rate limit that is set at one of them', async () => {
    const peers = await crowd(gateway, issuer.sign({ sub: 'flo' }));
    const url = `${gateway.http}/admin/ratelimits`;
    const set = await http(url, { method: 'PUT', body: '{"perSecond":0.001,"burst":1}' });
    assert.equal(set.status, 200);
    for (let i = 0; i < CROWD; i++)
      await eventually(
        async () => (JSON.parse((await http(url)).body) as { changed: { default: boolean } }).changed.default,
      );
    for (const peer of peers) {
      for (let i = 0; i < 3; i++) peer.send('x');
      assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Rate limit exceeded' });
    }
    assert.equal((await http(url, { method: 'DELETE' })).status, 200);
  });

  it('say once, together, what has started', async () => {
    // None says so before clients can come.
    const lines = () => gateway.logs.filter(({ msg }) => /listening/.test(String(msg)));
    const started = await eventually(() => lines().length > 0 && lines());
    assert.deepEqual(
      started.map(({ msg, workers, listener, tls, issuer: whose, stores }) => [
        ...[msg, workers, listener, tls, whose, stores],
      ]),
      [['all workers are listening', WORKERS, 'node', false, 'any', 'memory']],
    );
  });

  it('log as they are told at one of them, their replacements and the supervisor too', async () => {
    const own = await start();
    // The line after which nothing more is said of the start.
    await eventually(() => own.logs.some(({ msg }) => msg === 'all workers are listening'));
    const url = `${own.http}/admin/log`;
    assert.equal((await http(url, { method: 'PUT', body: '{"level":"warn"}' })).status, 200);
    for (let i = 0; i < CROWD; i++) assert.equal((await http(url)).body, '{"level":"warn","access":"all"}\n');
    // From the worker that was told, by the level that it had until then.
    await eventually(() => own.logs.some(({ logLevel }) => logLevel === 'warn'));
    const before = own.logs.length;
    const started = own.logs.find(({ msg }) => msg === 'worker started');
    process.kill(Number(started?.pid), 'SIGKILL');
    await eventually(() => own.logs.some(({ msg }) => msg === 'worker ended, it is replaced'));
    const children = `/proc/${own.child.pid}/task/${own.child.pid}/children`;
    await eventually(() => {
      const pids = readFileSync(children, 'utf8').trim().split(' ');
      assert.equal(pids.length, WORKERS);
      assert.ok(!pids.includes(String(started?.pid)));
    });
    for (let i = 0; i < CROWD; i++) assert.equal((await http(url)).body, '{"level":"warn","access":"all"}\n');
    await own.stop();
    assert.deepEqual([...new Set(own.logs.slice(before).map(({ level }) => level))], ['error']);
  });

  it('are one gateway to the admin API', async () => {
    const peers = await crowd(gateway, issuer.sign({ sub: 'bob' }));
    type Listed = { sessions: { id: string }[]; next: string | null };
    const ids: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = `sub=bob&limit=7${cursor && `&cursor=${cursor}`}`;
      const page = JSON.parse((await http(`${gateway.http}/admin/sessions?${query}`)).body) as Listed;
      ids.push(...page.sessions.map(({ id }) => id));
      cursor = page.next;
    }
    assert.equal(ids.length, CROWD);
    assert.equal(new Set(ids).size, CROWD);
    const upstreams = JSON.parse((await http(`${gateway.http}/admin/upstreams`)).body) as {
      upstreams: { sessions: number }[];
    };
    assert.deepEqual(
      upstreams.upstreams.map(({ sessions }) => sessions),
      [CROWD],
    );
    for (const id of ids) {
      const { status } = await http(`${gateway.http}/admin/sessions/${id}`, { method: 'DELETE' });
      assert.equal(status, 200);
    }
    for (const peer of peers) await peer.ended();
    const gone = await http(`${gateway.http}/admin/sessions/${ids[0]}`, { method: 'DELETE' });
    assert.equal(gone.status, 404);
  });

  it('take over new routes together, on SIGHUP, by the admin API and by themselves', async () => {
    const openable = async (prefix: string) => {
      const peers = await Promise.all(
        Array.from({ length: CROWD }, () => Peer.open(gateway.ws + prefix).catch(() => undefined)),
      );
      for (const peer of peers) await peer?.close();
      return peers.filter(Boolean).length;
    };
    const counted = async (result: string) =>
      (await gateway.metrics()).sum('ws_config_reloads_total', { result });
    const before = await counted('ok');
    const withRoute = (prefix: string) => [...routes, { prefix, upstream: echo.url, auth: 'public' }];
    await gateway.writeRoutes(withRoute('/one'));
    gateway.child.kill('SIGHUP');
    await eventually(async () => (await openable('/one')) === CROWD);
    await gateway.writeRoutes(withRoute('/two'));
    const answer = await http(`${gateway.http}/admin/reload`, { method: 'POST' });
    assert.equal(answer.status, 200, answer.body);
    assert.equal(await openable('/two'), CROWD);
    assert.equal(await openable('/one'), 0);
    await gateway.writeRoutes('- nonsense');
    const refused = await http(`${gateway.http}/admin/reload`, { method: 'POST' });
    assert.equal(refused.status, 422, refused.body);
    assert.ok((await counted('failed')) > 0);
    // Who starts now has the table that the others have, whatever the file says.
    await killWorker(gateway, 2);
    assert.equal(await openable('/two'), CROWD);
    await gateway.writeRoutes(routes);
    await eventually(async () => (await openable('/two')) === 0);
    assert.equal(await counted('ok'), before + 3);
  });

  it('take over new routes that come while one of them starts', async (t) => {
    const own = await start();
    t.after(() => own.stop());
    const children = `/proc/${own.child.pid}/task/${own.child.pid}/children`;
    const pids = () => readFileSync(children, 'utf8').trim().split(' ').map(Number);
    await eventually(() => started(own).length === WORKERS);
    const before = pids();
    process.kill(pidOf(own, 1), 'SIGKILL');
    const late = await eventually(() => pids().find((pid) => !before.includes(pid)) ?? false);
    // It is told what it is to be, and of the new routes, before it has done anything.
    process.kill(late, 'SIGSTOP');
    try {
      await own.writeRoutes([{ prefix: '/late', upstream: `${echo.url}/late`, auth: 'public' }]);
      assert.equal((await http(`${own.http}/admin/reload`, { method: 'POST' })).status, 200);
    } finally {
      process.kill(late, 'SIGCONT');
    }
    await eventually(() => started(own).length === WORKERS + 1, 30_000);
    const peers = await Promise.all(Array.from({ length: CROWD }, () => Peer.open(`${own.ws}/late`)));
    for (const peer of peers) {
      peer.send('x');
      assert.equal(await peer.text(), 'x');
    }
    await Promise.all(peers.map((peer) => peer.close()));
    const listed = JSON.parse((await http(`${own.http}/admin/upstreams`)).body) as {
      upstreams: readonly { upstream: string }[];
    };
    assert.deepEqual(
      listed.upstreams.map(({ upstream }) => upstream),
      [`${echo.url}/late`],
      'no worker has those of the old table',
    );
  });

  it('hold one rate limit together without Redis', async (t) => {
    const limited = await start(LIMITED);
    t.after(() => limited.stop());
    assertOneLimit(await passing(limited, 'cat'));
  });

  it('share limits and revocations with Redis, and among themselves while it is away', async (t) => {
    const redis = await startRedis();
    t.after(() => redis.stop());
    const replica = await start({ ...LIMITED, REDIS_URL: redis.url });
    t.after(() => replica.stop());
    assertOneLimit(await passing(replica, 'dan'));
    for (const jti of ['1', '2', '3', '4', '5']) {
      const peers = await crowd(replica, issuer.sign({ sub: 'eve', jti }));
      const body = JSON.stringify({ sub: 'eve', jti });
      const answer = await http(`${replica.http}/admin/revoke`, { method: 'POST', body });
      assert.deepEqual(JSON.parse(answer.body), { revoked: true, sessionsClosed: CROWD, propagated: true });
      for (const peer of peers) assert.deepEqual(await peer.ended(), REVOKED);
    }
    assert.equal((await replica.metrics()).sum('ws_revocations_total'), 5);
    await redis.kill();
    await eventually(
      async () => (await replica.metrics()).sum('ws_dependency_up', { dependency: 'redis' }) === 0,
    );
    // For a moment each counts for itself.
    let subject = 0;
    await eventually(async () => {
      assertOneLimit(await passing(replica, `fay-${subject++}`));
      return true;
    });
    const peers = await crowd(replica, issuer.sign({ sub: 'gus', jti: '1' }));
    const body = JSON.stringify({ sub: 'gus', jti: '1' });
    const answer = await http(`${replica.http}/admin/revoke`, { method: 'POST', body });
    assert.equal(answer.status, 202);
    assert.deepEqual(JSON.parse(answer.body), { revoked: true, sessionsClosed: CROWD, propagated: false });
    for (const peer of peers) assert.deepEqual(await peer.ended(), REVOKED);
  });

  it('of which one is stuck do not hold up the scrape', async () => {
    const before = (await gateway.metrics()).sum('ws_connections_total');
    const stuck = pidOf(gateway, 2);
    process.kill(stuck, 'SIGSTOP');
    try {
      // The kernel goes on giving it a share of the connections: of many scrapes some reach the other one.
      const scrapes = Array.from({ length: CROWD }, () => gateway.metrics());
      const first = await within(Promise.any(scrapes), 'scrape', 8_000);
      assert.ok(first.sum('ws_connections_total') >= before);
      process.kill(stuck, 'SIGCONT');
      await Promise.all(scrapes);
    } finally {
      process.kill(stuck, 'SIGCONT');
    }
  });

  it('of which one hangs have new clients come to the other', async () => {
    const hung = pidOf(gateway, 2);
    process.kill(hung, 'SIGSTOP');
    try {
      const silent = 'worker does not answer: it gets no new clients';
      await eventually(() => gateway.logs.some(({ msg, pid }) => msg === silent && pid === hung), 30_000);
      const peers = await crowd(gateway);
      for (const peer of peers) peer.send('here');
      for (const peer of peers) assert.equal(await peer.text(), 'here');
      await Promise.all(peers.map((peer) => peer.close()));
    } finally {
      process.kill(hung, 'SIGCONT');
    }
  });

  it('drain together on SIGTERM and are gone after it', async (t) => {
    const draining = await start({ GRACEFUL_DRAIN_TIMEOUT_SECONDS: '3' });
    t.after(() => draining.stop());
    const pids = [1, 2].map((worker) => pidOf(draining, worker));
    const peers = await crowd(draining);
    const endings = peers.map((peer) => peer.ended(20_000));
    draining.child.kill('SIGTERM');
    // A terminal's Ctrl-C and some service managers tell everyone.
    for (const pid of pids) process.kill(pid, 'SIGTERM');
    // All of them: the kernel has each request answered by any.
    await eventually(async () => {
      for (let i = 0; i < 11; i++) if ((await http(`${draining.http}/readyz`)).status !== 503) return false;
      return true;
    });
    for (const ending of endings) assert.deepEqual(await ending, SHUTDOWN);
    assert.deepEqual(await within(draining.child.exited, 'exit'), { code: 0, signal: null });
    assert.deepEqual(pids.filter(isAlive), []);
  });

  it('end at once, with exit code 1, on a second signal', async (t) => {
    const draining = await start({ GRACEFUL_DRAIN_TIMEOUT_SECONDS: '60' });
    t.after(() => draining.stop());
    const pids = [1, 2].map((worker) => pidOf(draining, worker));
    const peers = await crowd(draining);
    draining.child.kill('SIGTERM');
    await eventually(async () => (await http(`${draining.http}/readyz`)).status === 503);
    draining.child.kill('SIGTERM');
    assert.deepEqual(await within(draining.child.exited, 'exit'), { code: 1, signal: null });
    await eventually(() => !pids.some(isAlive));
    await Promise.all(peers.map((peer) => peer.ended()));
  });

  it('leave the port and drain when the supervisor is killed', async (t) => {
    const orphaned = await start({ GRACEFUL_DRAIN_TIMEOUT_SECONDS: '3' });
    t.after(() => orphaned.stop());
    const pids = [1, 2].map((worker) => pidOf(orphaned, worker));
    const peers = await crowd(orphaned);
    const endings = peers.map((peer) => peer.ended(20_000));
    process.kill(orphaned.pid, 'SIGKILL');
    await eventually(async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) =>
        server.once('error', reject).listen(orphaned.port, '127.0.0.1', resolve),
      );
      await new Promise((resolve) => server.close(resolve));
      return true;
    });
    assert.ok(pids.some(isAlive), 'the port is free before the sessions have ended');
    for (const ending of endings) assert.deepEqual(await ending, SHUTDOWN);
    await eventually(() => !pids.some(isAlive));
  });

  it('on a port in use are a clear error and exit code 1', async () => {
    const { code, stdout, stderr } = await runGateway({
      env: {
        WORKERS: '2',
        JWKS_URL: issuer.jwksUrl,
        JWT_EXPECTED_ISSUER: issuer.url,
        PORT: String(gateway.port),
      },
      routes,
    });
    assert.equal(code, 1);
    assert.deepEqual(stderr.trim().split('\n'), [
      `HOST, PORT: cannot listen on 127.0.0.1:${gateway.port}, the port is in use`,
    ]);
    assert.equal(stdout, '');
    assert.equal(started(gateway).length >= WORKERS, true);
  });

  it('report a bad configuration once', async () => {
    const { code, stdout, stderr } = await runGateway({
      env: { WORKERS: '2', JWKS_URL: 'nonsense' },
      routes,
    });
    assert.equal(code, 1);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.match(stderr, /JWKS_URL/);
    assert.equal(stdout, '');
  });

  it('report once what keeps them from starting', async () => {
    const { code, stderr } = await runGateway({
      env: { WORKERS: '2', JWKS_URL: issuer.jwksUrl, HOST: '192.0.2.1' },
      routes,
    });
    assert.equal(code, 1);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.match(stderr, /192\.0\.2\.1/);
  });
});
