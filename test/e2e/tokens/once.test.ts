import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { type Closing, Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, runGateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type PostgresServer, startPostgres } from '../../support/servers/postgres-server.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const TOO_MANY = { code: 1008, reason: 'Too many connections' };
const USED = { code: 1008, reason: 'Token already used' };

describe('a token that opens one session', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let redis: RedisServer;
  let postgres: PostgresServer;
  const gateways: Gateway[] = [];
  const peers: Peer[] = [];

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    redis = await startRedis();
    postgres = await startPostgres();
  });
  after(() => Promise.all([redis.stop(), postgres.stop(), echo.close(), issuer.close()]));
  afterEach(async () => {
    for (const { socket } of peers.splice(0)) socket.terminate();
    for (const gateway of gateways) await assertQuiet(gateway, { upstreams: [echo] });
    await Promise.all(gateways.splice(0).map((gateway) => gateway.stop()));
    echo.reset();
  });

  async function start(count: number, env: Record<string, string>): Promise<void> {
    const routes = [
      { prefix: '/once', upstream: echo.url, once: true },
      { prefix: '/staff', upstream: echo.url, once: true, requireRoles: ['staff'] },
      { prefix: '/dead', upstream: 'ws://127.0.0.1:1', once: true },
      { prefix: '/any', upstream: echo.url },
      {
        prefix: '/ticket',
        respond: { body: 'welcome' },
        once: true,
        methods: ['GET'],
        cors: { origins: ['https://app.example.com'] },
      },
      { prefix: '/staff-ticket', respond: { body: '' }, once: true, requireRoles: ['staff'] },
    ];
    // Several workers take no token once without a store.
    const alone = env.WORKERS !== undefined && env.REDIS_URL === undefined && env.POSTGRES_DSN === undefined;
    const one = () =>
      startGateway({
        env: { JWKS_URL: issuer.jwksUrl, ...env },
        routes: alone ? routes.filter(({ once }) => once !== true) : routes,
      });
    gateways.push(...(await Promise.all(Array.from({ length: count }, one))));
    // One that could not reach its store yet would turn everybody away, or count for itself.
    for (const [variable, dependency] of [
      ['REDIS_URL', 'redis'],
      ['POSTGRES_DSN', 'postgres'],
    ] as const)
      for (const gateway of env[variable] === undefined ? [] : gateways)
        await eventually(async () => (await gateway.metrics()).sum('ws_dependency_up', { dependency }) === 1);
  }

  async function open(at: number, path: string, token: string): Promise<Peer> {
    const peer = await Peer.open(`${gateways[at % gateways.length]?.ws}${path}`, { token });
    peers.push(peer);
    return peer;
  }

  /** Opens `count` sessions at once; how those ended that were turned away. */
  async function race(count: number, token: string): Promise<{ refused: Closing[]; won: Peer[] }> {
    const refused: Closing[] = [];
    const peers = await Promise.all(Array.from({ length: count }, (_, at) => open(at, '/once', token)));
    for (const peer of peers) void peer.closed.then((closing) => refused.push(closing));
    await eventually(() => refused.length >= count - 1, 60_000);
    return { refused: [...refused], won: peers.filter(isOpen) };
  }
  const isOpen = ({ socket }: Peer): boolean => socket.readyState === socket.OPEN;

  for (const name of ['Redis', 'Postgres'] as const)
    it(`of 1,000 uses at once over three replicas and ${name} exactly one wins`, async () => {
      const count = 1_000;
      await start(3, name === 'Redis' ? { REDIS_URL: redis.url } : { POSTGRES_DSN: postgres.dsn });
      const token = issuer.sign();
      const { refused, won } = await race(count, token);
      assert.equal(won.length, 1);
      assert.equal(echo.sessions.length, 1, 'one dial');
      assert.equal(refused.length, count - 1);
      for (const closing of refused) assert.deepEqual(closing, USED);
      await won[0]?.close();
      const late = await open(1, '/once', token);
      assert.deepEqual(await late.ended(), USED);
    });

  for (const name of ['Redis', 'Postgres'] as const)
    it(`of 200 HTTP requests at once over three replicas and ${name} exactly one is answered`, async () => {
      await start(3, name === 'Redis' ? { REDIS_URL: redis.url } : { POSTGRES_DSN: postgres.dsn });
      const headers = { authorization: `Bearer ${issuer.sign()}` };
      const ask = (at: number) => http(`${gateways[at % 3]?.http}/ticket`, { headers });
      const answers = await Promise.all(Array.from({ length: 200 }, (_, at) => ask(at)));
      const [won, ...more] = answers.filter(({ status }) => status === 200);
      assert.deepEqual([won?.body, more.length], ['welcome', 0]);
      for (const { status, headers: told, body } of answers.filter((answer) => answer !== won)) {
        assert.equal(status, 401);
        assert.equal(told['www-authenticate'], 'Bearer error="invalid_token"');
        assert.equal((JSON.parse(body) as { code: string }).code, 'ERR_TOKEN_USED');
      }
      const session = await open(0, '/once', headers.authorization.slice('Bearer '.length));
      assert.deepEqual(await session.ended(), USED, 'a session is a use of it, too');
    });

  it('by HTTP is used up after all checks, and not by a preflight', async () => {
    await start(1, {});
    const token = issuer.sign();
    const ask = async (path: string, method = 'GET', own = {}) => {
      const headers = { authorization: `Bearer ${token}`, ...own };
      return (await http(`${gateways[0]?.http}${path}`, { method, headers })).status;
    };
    const preflight = { origin: 'https://app.example.com', 'access-control-request-method': 'GET' };
    assert.equal(await ask('/ticket', 'OPTIONS', preflight), 204);
    assert.equal(await ask('/staff-ticket'), 403);
    assert.equal(await ask('/ticket', 'POST'), 405);
    assert.equal(await ask('/ticket'), 200);
    assert.equal(await ask('/ticket'), 401);
  });

  it('is used up after all checks and before the dial, whatever becomes of it', async () => {
    await start(1, {});
    const token = issuer.sign();
    assert.deepEqual((await (await open(0, '/staff', token)).ended()).reason, 'Forbidden');
    assert.equal((await (await open(0, '/dead', token)).ended()).code, 1014);
    assert.deepEqual(await (await open(0, '/once', token)).ended(), USED);
    const elsewhere = await open(0, '/any', token);
    await elsewhere.close();
    const nameless = issuer.sign({ jti: undefined });
    assert.deepEqual((await (await open(0, '/once', nameless)).ended()).reason, 'JWT invalid or expired');
  });

  it('needs a store where several workers could each let it in', async () => {
    const routes = [{ prefix: '/once', upstream: echo.url, once: true }];
    const refused = await runGateway({ env: { JWKS_URL: issuer.jwksUrl, WORKERS: '2' }, routes });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr + refused.stdout, /once: needs REDIS_URL or POSTGRES_DSN/);
  });

  it('may have as many sessions as MAX_SESSIONS_PER_TOKEN says', async () => {
    await start(1, { MAX_SESSIONS_PER_TOKEN: '2' });
    const token = issuer.sign();
    const two = [await open(0, '/any', token), await open(0, '/any', token)];
    const third = await open(0, '/any', token);
    assert.deepEqual(await third.ended(), TOO_MANY);
    await two[0]?.close();
    const again = await open(0, '/any', token);
    again.send('in');
    assert.equal(await again.text(), 'in');
    const other = await open(0, '/any', issuer.sign());
    await Promise.all([two[1]?.close(), again.close(), other.close()]);
  });

  for (const name of ['Redis', 'Postgres', 'nothing'] as const)
    it(`may have as many over the replicas and workers that share ${name}, of any number that come at once`, async () => {
      const store = {
        Redis: { REDIS_URL: redis.url },
        Postgres: { POSTGRES_DSN: postgres.dsn },
        nothing: {},
      }[name];
      const replicas = name === 'nothing' ? 1 : 2;
      await start(replicas, { ...store, MAX_SESSIONS_PER_TOKEN: '3', WORKERS: '2' });
      const token = issuer.sign();
      const refused: Closing[] = [];
      const peers = await Promise.all(Array.from({ length: 60 }, (_, at) => open(at, '/any', token)));
      for (const peer of peers) void peer.closed.then((closing) => refused.push(closing));
      await eventually(() => refused.length >= 57, 60_000);
      for (const closing of refused) assert.deepEqual(closing, TOO_MANY);
      const within = peers.filter(isOpen);
      assert.equal(within.length, 3);
      for (const peer of within) {
        peer.send('in');
        assert.equal(await peer.text(), 'in');
      }
      await within[0]?.close();
      const again = await eventually(async () => {
        const peer = await open(replicas - 1, '/any', token);
        peer.send('in');
        return peer.text().then(
          () => peer,
          () => false as const,
        );
      });
      await Promise.all([within[1]?.close(), within[2]?.close(), again.close()]);
    });
});
