import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually, within } from '../../support/eventually.js';
import type { Gateway } from '../../support/gateway/gateway.js';
import { CROWD, pidOf, SeveralWorkers, started, WORKERS } from './several-workers.js';

const BANNED = { code: 1008, reason: 'Banned' };
const REVOKED = { code: 1008, reason: 'Token revoked' };

async function killWorker(gateway: Gateway, worker: number): Promise<void> {
  const before = started(gateway).length;
  process.kill(pidOf(gateway, worker), 'SIGKILL');
  await eventually(() => started(gateway).length > before, 30_000);
}

describe('several workers', () => {
  const workers = new SeveralWorkers();
  const closedBy = (of: Gateway): number[] =>
    of.logs.filter(({ msg }) => msg === 'session closed').map(({ worker }) => Number(worker));

  it('share one port about evenly', async () => {
    const before = closedBy(workers.gateway).length;
    for (let batch = 0; batch < 8; batch++) {
      const peers = await Promise.all(
        Array.from({ length: 50 }, () => Peer.open(`${workers.gateway.ws}/open`)),
      );
      await Promise.all(peers.map((peer) => peer.close()));
    }
    await eventually(() => closedBy(workers.gateway).length === before + 400);
    const first = closedBy(workers.gateway)
      .slice(before)
      .filter((worker) => worker === 1).length;
    assert.ok(first >= 180 && first <= 220, `worker 1 had ${first} of 400`);
  });

  it('answer a scrape with the sum over all of them, whoever is asked', async () => {
    const before = await workers.gateway.metrics();
    const peers = await workers.crowd(workers.gateway);
    for (const peer of peers) {
      peer.send('12345678');
      await peer.next();
    }
    for (let i = 0; i < 5; i++) {
      const now = await workers.gateway.metrics();
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
    const bounded = await workers.start({ METRICS_MAX_USERS: '3' });
    t.after(() => bounded.stop());
    for (let i = 0; i < CROWD; i++)
      await (await workers.open(bounded, workers.issuer.sign({ sub: `user-${i}` }))).close();
    const metrics = await bounded.metrics();
    assert.equal(metrics.sum('ws_auth_success_total'), CROWD);
    assert.equal(new Set(metrics.all('ws_auth_success_total').map(({ labels }) => labels.sub)).size, 4);
  });

  it('are replaced when they are killed; the others go on, and no counter goes back', async () => {
    const peers = await workers.crowd(workers.gateway);
    const before = await workers.gateway.metrics();
    const old = pidOf(workers.gateway, 1);
    await killWorker(workers.gateway, 1);
    assert.notEqual(pidOf(workers.gateway, 1), old);
    const survivors = peers.filter((peer) => peer.socket.readyState === peer.socket.OPEN);
    assert.ok(survivors.length > 0 && survivors.length < CROWD, `${survivors.length} survive`);
    for (const peer of survivors) {
      peer.send('still there');
      assert.equal(await peer.text(), 'still there');
    }
    const during = await workers.gateway.metrics();
    assert.equal(during.sum('ws_active_sessions'), survivors.length);
    const newcomers = await workers.crowd(workers.gateway);
    const after = await workers.gateway.metrics();
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
    const token = workers.issuer.sign({ sub: 'ann', jti: 'ann-1' });
    const peers = await workers.crowd(workers.gateway, token);
    const before = (await workers.gateway.metrics()).sum('ws_revocations_total');
    const revoke = () =>
      http(`${workers.gateway.http}/admin/revoke`, { method: 'POST', body: '{"sub":"ann","jti":"ann-1"}' });
    const answer = await revoke();
    assert.equal(answer.status, 200);
    assert.deepEqual(JSON.parse(answer.body), { revoked: true, sessionsClosed: CROWD, propagated: true });
    for (const peer of peers) assert.deepEqual(await peer.ended(), REVOKED);
    await eventually(
      async () => (await workers.gateway.metrics()).sum('ws_revocations_total') === before + 1,
    );
    for (const peer of await workers.crowd(workers.gateway, token))
      assert.deepEqual(await peer.ended(), REVOKED);
    await killWorker(workers.gateway, 1);
    await killWorker(workers.gateway, 2);
    for (const peer of await workers.crowd(workers.gateway, token))
      assert.deepEqual(await peer.ended(), REVOKED);
    assert.equal((JSON.parse((await revoke()).body) as { sessionsClosed: number }).sessionsClosed, 0);
  });

  it('carry out a ban all of them, and a replacement knows it; lifted, it is lifted in all', async () => {
    const token = workers.issuer.sign({ sub: 'mallory' });
    const peers = await workers.crowd(workers.gateway, token);
    const body = JSON.stringify({ sub: 'mallory', reason: 'spam' });
    const answer = await http(`${workers.gateway.http}/admin/bans`, { method: 'POST', body });
    assert.deepEqual(JSON.parse(answer.body), {
      sub: 'mallory',
      reason: 'spam',
      until: null,
      persisted: false,
    });
    for (const peer of peers) assert.deepEqual(await peer.ended(), BANNED);
    await killWorker(workers.gateway, 1);
    await killWorker(workers.gateway, 2);
    for (const peer of await workers.crowd(workers.gateway, token))
      assert.deepEqual(await peer.ended(), BANNED);
    const lift = () => http(`${workers.gateway.http}/admin/bans/mallory`, { method: 'DELETE' });
    assert.equal((await lift()).status, 204);
    // Each worker is asked on a connection of its own.
    for (let i = 0; i < CROWD; i++) await eventually(async () => (await lift()).status === 404);
    for (const peer of await workers.crowd(workers.gateway, token)) await peer.close();
  });

  it('take over a rate limit that is set at one of them', async () => {
    const peers = await workers.crowd(workers.gateway, workers.issuer.sign({ sub: 'flo' }));
    const url = `${workers.gateway.http}/admin/ratelimits`;
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
    const lines = () => workers.gateway.logs.filter(({ msg }) => /listening/.test(String(msg)));
    const started = await eventually(() => lines().length > 0 && lines());
    assert.deepEqual(
      started.map(({ msg, workers, listener, tls, issuer: whose, stores }) => [
        ...[msg, workers, listener, tls, whose, stores],
      ]),
      [['all workers are listening', WORKERS, 'node', false, 'any', 'memory']],
    );
  });

  it('log as they are told at one of them, their replacements and the supervisor too', async () => {
    const own = await workers.start();
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
    const peers = await workers.crowd(workers.gateway, workers.issuer.sign({ sub: 'bob' }));
    type Listed = { sessions: { id: string }[]; next: string | null };
    const ids: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = `sub=bob&limit=7${cursor && `&cursor=${cursor}`}`;
      const page = JSON.parse((await http(`${workers.gateway.http}/admin/sessions?${query}`)).body) as Listed;
      ids.push(...page.sessions.map(({ id }) => id));
      cursor = page.next;
    }
    assert.equal(ids.length, CROWD);
    assert.equal(new Set(ids).size, CROWD);
    const upstreams = JSON.parse((await http(`${workers.gateway.http}/admin/upstreams`)).body) as {
      upstreams: { sessions: number }[];
    };
    assert.deepEqual(
      upstreams.upstreams.map(({ sessions }) => sessions),
      [CROWD],
    );
    for (const id of ids) {
      const { status } = await http(`${workers.gateway.http}/admin/sessions/${id}`, { method: 'DELETE' });
      assert.equal(status, 200);
    }
    for (const peer of peers) await peer.ended();
    const gone = await http(`${workers.gateway.http}/admin/sessions/${ids[0]}`, { method: 'DELETE' });
    assert.equal(gone.status, 404);
  });

  it('take over new routes together, on SIGHUP, by the admin API and by themselves', async () => {
    const openable = async (prefix: string) => {
      const peers = await Promise.all(
        Array.from({ length: CROWD }, () => Peer.open(workers.gateway.ws + prefix).catch(() => undefined)),
      );
      for (const peer of peers) await peer?.close();
      return peers.filter(Boolean).length;
    };
    const counted = async (result: string) =>
      (await workers.gateway.metrics()).sum('ws_config_reloads_total', { result });
    const before = await counted('ok');
    const withRoute = (prefix: string) => [
      ...workers.routes,
      { prefix, upstream: workers.echo.url, auth: 'public' },
    ];
    await workers.gateway.writeRoutes(withRoute('/one'));
    workers.gateway.child.kill('SIGHUP');
    await eventually(async () => (await openable('/one')) === CROWD);
    await workers.gateway.writeRoutes(withRoute('/two'));
    const answer = await http(`${workers.gateway.http}/admin/reload`, { method: 'POST' });
    assert.equal(answer.status, 200, answer.body);
    assert.equal(await openable('/two'), CROWD);
    assert.equal(await openable('/one'), 0);
    await workers.gateway.writeRoutes('- nonsense');
    const refused = await http(`${workers.gateway.http}/admin/reload`, { method: 'POST' });
    assert.equal(refused.status, 422, refused.body);
    assert.ok((await counted('failed')) > 0);
    // Who starts now has the table that the others have, whatever the file says.
    await killWorker(workers.gateway, 2);
    assert.equal(await openable('/two'), CROWD);
    await workers.gateway.writeRoutes(workers.routes);
    await eventually(async () => (await openable('/two')) === 0);
    assert.equal(await counted('ok'), before + 3);
  });

  it('take over new routes that come while one of them starts', async (t) => {
    const own = await workers.start();
    t.after(() => own.stop());
    const children = `/proc/${own.child.pid}/task/${own.child.pid}/children`;
    const pids = () => readFileSync(children, 'utf8').trim().split(' ').map(Number);
    await eventually(() => started(own).length === WORKERS);
    const before = pids();
    process.kill(pidOf(own, 1), 'SIGKILL');
    // Not before it runs the worker's program: until then the supervisor waits for it, with everybody.
    const isWorker = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('worker.');
    const late = await eventually(
      () => pids().find((pid) => !before.includes(pid) && isWorker(pid)) ?? false,
    );
    // It is told what it is to be, and of the new routes, before it has done anything.
    process.kill(late, 'SIGSTOP');
    try {
      await own.writeRoutes([{ prefix: '/late', upstream: `${workers.echo.url}/late`, auth: 'public' }]);
      // Where it listens already, the kernel may give it the request.
      const reload = { method: 'POST', timeoutMs: 3_000 };
      await eventually(async () => (await http(`${own.http}/admin/reload`, reload)).status === 200);
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
      [`${workers.echo.url}/late`],
      'no worker has those of the old table',
    );
  });

  it('of which one is stuck do not hold up the scrape', async () => {
    const before = (await workers.gateway.metrics()).sum('ws_connections_total');
    const stuck = pidOf(workers.gateway, 2);
    process.kill(stuck, 'SIGSTOP');
    try {
      // The kernel goes on giving it a share of the connections: of many scrapes some reach the other one.
      const scrapes = Array.from({ length: CROWD }, () => workers.gateway.metrics());
      const first = await within(Promise.any(scrapes), 'scrape', 8_000);
      assert.ok(first.sum('ws_connections_total') >= before);
      process.kill(stuck, 'SIGCONT');
      await Promise.all(scrapes);
    } finally {
      process.kill(stuck, 'SIGCONT');
    }
  });

  it('of which one hangs have new clients come to the other', async () => {
    const hung = pidOf(workers.gateway, 2);
    process.kill(hung, 'SIGSTOP');
    try {
      const silent = 'worker does not answer';
      await eventually(
        () => workers.gateway.logs.some(({ msg, pid }) => msg === silent && pid === hung),
        30_000,
      );
      const peers = await workers.crowd(workers.gateway);
      for (const peer of peers) peer.send('here');
      for (const peer of peers) assert.equal(await peer.text(), 'here');
      await Promise.all(peers.map((peer) => peer.close()));
    } finally {
      process.kill(hung, 'SIGCONT');
    }
  });
});
