import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, type RouteEntry, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type PostgresServer, startPostgres } from '../../support/servers/postgres-server.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { startRawUpstream, switching } from '../../support/upstreams/raw-upstream.js';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

/** New sessions that are looked at: enough to meet every endpoint by every worker. */
const ENOUGH = 8;

describe('an endpoint drained by the admin API', () => {
  let issuer: Issuer;
  let redis: RedisServer;
  let postgres: PostgresServer;
  let one: Upstream;
  let two: Upstream;

  before(async () => {
    const named = (name: string) =>
      startUpstream({ onSession: (peer) => peer.socket.on('message', () => peer.send(name)) });
    [issuer, redis, postgres, one, two] = await Promise.all([
      startIssuer(),
      startRedis(),
      startPostgres(),
      named('one'),
      named('two'),
    ]);
  });
  after(() => Promise.all([issuer.close(), redis.stop(), postgres.stop(), one.close(), two.close()]));

  const routes = (): RouteEntry[] => [{ prefix: '/app', upstream: [one.url, two.url] }];
  const start = (env: Readonly<Record<string, string>>): Promise<Gateway> =>
    startGateway({ env: { JWKS_URL: issuer.jwksUrl, ...env }, routes: routes() });
  const open = (gateway: Gateway): Promise<Peer> => Peer.open(`${gateway.ws}/app`, { token: issuer.sign() });
  async function asks(peer: Peer): Promise<string> {
    peer.send('who');
    return await peer.text();
  }
  /** Who serves new sessions. */
  async function serving(gateway: Gateway): Promise<Set<string>> {
    const names = new Set<string>();
    for (let count = 0; count < ENOUGH; count++) {
      const peer = await open(gateway);
      names.add(await asks(peer).catch((error: Error) => error.message));
      if (peer.socket.readyState === peer.socket.OPEN) await peer.close();
    }
    return names;
  }
  async function comesTo(gateway: Gateway, ...names: readonly string[]): Promise<void> {
    await eventually(async () => assert.deepEqual(await serving(gateway), new Set(names)), 60_000);
  }
  const nameOf = ({ url }: Pick<Upstream, 'url'>): string => new URL(url).href;
  async function drain(gateway: Gateway, upstream: Pick<Upstream, 'url'>, close = false): Promise<boolean> {
    const body = JSON.stringify({ upstream: nameOf(upstream), close });
    const answer = await http(`${gateway.http}/admin/drains`, { method: 'POST', body });
    assert.equal(answer.status, 201, answer.body);
    return (JSON.parse(answer.body) as { persisted: boolean }).persisted;
  }
  async function putBack(gateway: Gateway, upstream: Upstream): Promise<number> {
    const url = `${gateway.http}/admin/drains?upstream=${encodeURIComponent(nameOf(upstream))}`;
    return (await http(url, { method: 'DELETE' })).status;
  }

  it('gets no new session in any worker and replica, after a reload and a start either, until it is put back', async (t) => {
    const env = { REDIS_URL: redis.url };
    const [here, workers] = await Promise.all([start(env), start({ ...env, WORKERS: '2' })]);
    t.after(() => Promise.all([here.stop(), workers.stop()]));
    await comesTo(here, 'one', 'two');
    let there = await open(here);
    while ((await asks(there)) !== 'one') {
      await there.close();
      there = await open(here);
    }
    await eventually(() => drain(here, one), 30_000);
    assert.deepEqual(await serving(here), new Set(['two']));
    await comesTo(workers, 'two');
    assert.equal(await asks(there), 'one', 'who is there stays');
    const listed = JSON.parse((await http(`${here.http}/admin/upstreams`)).body) as {
      upstreams: { upstream: string; drained: boolean }[];
    };
    assert.deepEqual(
      listed.upstreams.map(({ upstream, drained }) => [upstream, drained]),
      [
        [nameOf(one), true],
        [nameOf(two), false],
      ],
    );
    await here.writeRoutes([{ prefix: '/app', upstream: [one.url, two.url], balance: 'least-sessions' }]);
    await eventually(
      async () => (await here.metrics()).sum('ws_config_reloads_total', { result: 'ok' }) === 1,
    );
    assert.deepEqual(await serving(here), new Set(['two']));
    const late = await start(env);
    t.after(() => late.stop());
    assert.deepEqual(await serving(late), new Set(['two']));
    await drain(workers, two);
    await comesTo(here, 'closed: 1013 Upstream drained');
    assert.equal(await putBack(late, two), 204);
    await drain(here, one, true);
    assert.deepEqual(await there.ended(), { code: 1001, reason: 'Upstream removed' });
    assert.equal(await putBack(here, one), 204);
    assert.equal(await putBack(here, one), 404);
    for (const gateway of [here, workers, late]) await comesTo(gateway, 'one', 'two');
  });

  it('loses, with `close`, those who are still on their way to it, too', async (t) => {
    let answer = () => {};
    const slow = await startRawUpstream((socket, head) => {
      answer = () => void socket.write(switching(head));
    });
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [{ prefix: '/app', upstream: slow.url }],
    });
    t.after(() => Promise.all([gateway.stop(), slow.close()]));
    const opening = open(gateway);
    await eventually(() => slow.heads.length === 1);
    await drain(gateway, slow, true);
    answer();
    assert.deepEqual(await (await opening).ended(), { code: 1001, reason: 'Upstream removed' });
    await eventually(() => slow.openSockets() === 0);
  });

  it('is kept in Postgres where there is no Redis', async (t) => {
    const gateway = await start({ POSTGRES_DSN: postgres.dsn });
    t.after(() => gateway.stop());
    await eventually(() => drain(gateway, one), 30_000);
    const late = await start({ POSTGRES_DSN: postgres.dsn });
    t.after(() => late.stop());
    assert.deepEqual(await serving(late), new Set(['two']));
    assert.equal(await putBack(late, one), 204);
    await comesTo(gateway, 'one', 'two');
  });

  it('holds in this process where there is no store; exchanges on a route without another get 503', async (t) => {
    const web = two.url.replace(/^ws/, 'http');
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [{ prefix: '/web', upstream: web, auth: 'public' }],
    });
    t.after(() => gateway.stop());
    const upstream = new URL(web).href;
    const drained = await http(`${gateway.http}/admin/drains`, {
      method: 'POST',
      body: JSON.stringify({ upstream }),
    });
    assert.deepEqual(JSON.parse(drained.body), { upstream, close: false, persisted: false });
    const refused = await http(`${gateway.http}/web`);
    assert.deepEqual([refused.status, JSON.parse(refused.body).code], [503, 'ERR_UPSTREAM_DRAINED']);
    assert.equal(refused.headers['retry-after'], '10');
  });
});
