import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, runGateway, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type PostgresServer, startPostgres } from '../../support/servers/postgres-server.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

interface Listed {
  readonly sessions: readonly Readonly<Record<string, unknown>>[];
  readonly total: number;
}

describe('activity', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let postgres: PostgresServer;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    postgres = await startPostgres();
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, POSTGRES_DSN: postgres.dsn, ACTIVITY_STORE: 'postgres', WORKERS: '2' },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([postgres.stop(), echo.close(), issuer.close()]);
  });

  async function sessionOf(sub: string): Promise<void> {
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub }) });
    for (const text of ['one', 'two']) {
      peer.send(text);
      assert.equal(await peer.text(), text);
    }
    await peer.close();
  }
  const sessions = async (query: string): Promise<Listed> =>
    JSON.parse((await http(`${gateway.http}/admin/activity/sessions?${query}`)).body) as Listed;

  it('is a row for every session that has ended, and a sum for every route', async () => {
    await sessionOf('ann');
    const { sessions: rows } = await eventually(async () => {
      const listed = await sessions('sub=ann');
      return listed.total === 1 && listed;
    });
    const [row] = rows;
    assert.deepEqual(
      [row?.sub, row?.protocol, row?.route, row?.reason],
      ['ann', 'raw', '/echo', 'client_closed'],
    );
    assert.deepEqual([row?.messages_in, row?.messages_out, row?.bytes_in, row?.bytes_out], [2, 2, 6, 6]);
    assert.ok(Date.parse(String(row?.opened)) <= Date.parse(String(row?.closed)));
    const answer = await http(`${gateway.http}/admin/activity/routes?bucket=3600`);
    const { routes } = JSON.parse(answer.body) as { routes: readonly Readonly<Record<string, unknown>>[] };
    assert.equal(routes[0]?.route, '/echo');
    assert.ok(Number(routes[0]?.messages_in) >= 2);
    assert.match(String(routes[0]?.bucket), /:00:00\.000Z$/);
    const later = encodeURIComponent(new Date(Date.now() + 60_000).toISOString());
    assert.equal((await sessions(`from=${later}&to=${later}`)).total, 0);
  });

  it('refuses what is wrong', async () => {
    for (const bad of [
      'sessions?from=yesterday',
      'sessions?from=2026-02-02&to=2026-02-01',
      'sessions?limit=0',
      'sessions?who=me',
      'routes?bucket=0',
      'routes?bucket=1.5',
      'routes?from=2020-01-01&bucket=1',
    ])
      assert.equal((await http(`${gateway.http}/admin/activity/${bad}`)).status, 400, bad);
  });

  it('is dropped and counted while the store is down, and no client notices', async () => {
    await postgres.kill();
    await sessionOf('bob');
    await eventually(async () => (await gateway.metrics()).sum('ws_activity_dropped_total') === 1, 20_000);
    assert.equal((await http(`${gateway.http}/admin/activity/sessions`)).status, 503);
    await postgres.restart();
    await eventually(async () => {
      await sessionOf('cid');
      return (await sessions('sub=cid')).total > 0;
    }, 30_000);
    assert.equal((await sessions('sub=bob')).total, 0);
  });

  it('is not there unless it is switched on, and needs Postgres', async () => {
    const off = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
    for (const path of ['sessions', 'routes'])
      assert.equal((await http(`${off.http}/admin/activity/${path}`)).status, 404);
    await off.stop();
    const { code, stderr } = await runGateway({
      env: { JWKS_URL: issuer.jwksUrl, ACTIVITY_STORE: 'postgres' },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
    assert.equal(code, 1);
    assert.match(stderr, /ACTIVITY_STORE/);
  });
});
