import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { type Gateway, runGateway, startGateway } from '../support/gateway.js';
import { type Issuer, startIssuer } from '../support/issuer.js';
import { type PostgresServer, startPostgres } from '../support/postgres-server.js';
import { assertQuiet } from '../support/quiet.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';
import { startEcho, type Upstream } from '../support/upstream.js';
import { type Closing, Peer } from '../support/ws-client.js';

const USED = { code: 1008, reason: 'Token already used' };

describe('a token that opens one session', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let redis: RedisServer;
  let postgres: PostgresServer;
  const gateways: Gateway[] = [];

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    redis = await startRedis();
    postgres = await startPostgres();
  });
  after(() => Promise.all([redis.stop(), postgres.stop(), echo.close(), issuer.close()]));
  afterEach(async () => {
    for (const gateway of gateways) await assertQuiet(gateway, { upstreams: [echo] });
    await Promise.all(gateways.splice(0).map((gateway) => gateway.stop()));
    echo.reset();
  });

  async function start(count: number, env: Record<string, string>): Promise<void> {
    const one = () =>
      startGateway({
        env: { JWKS_URL: issuer.jwksUrl, ...env },
        routes: [
          { prefix: '/once', upstream: echo.url, once: true },
          { prefix: '/staff', upstream: echo.url, once: true, requireRoles: ['staff'] },
          { prefix: '/dead', upstream: 'ws://127.0.0.1:1', once: true },
          { prefix: '/any', upstream: echo.url },
        ],
      });
    gateways.push(...(await Promise.all(Array.from({ length: count }, one))));
  }

  const open = (at: number, path: string, token: string) =>
    Peer.open(`${gateways[at % gateways.length]?.ws}${path}`, { token });

  /** Opens `count` sessions at once; how those ended that were turned away. */
  async function race(count: number, token: string): Promise<{ refused: Closing[]; won: Peer[] }> {
    const refused: Closing[] = [];
    const peers = await Promise.all(Array.from({ length: count }, (_, at) => open(at, '/once', token)));
    for (const peer of peers) void peer.closed.then((closing) => refused.push(closing));
    await eventually(() => refused.length >= count - 1, 60_000);
    return { refused: [...refused], won: peers.filter(isOpen) };
  }
  const isOpen = ({ socket }: Peer): boolean => socket.readyState === socket.OPEN;

  for (const [name, count] of [
    ['Redis', 1000],
    ['Postgres', 300],
  ] as const)
    it(`of ${count} uses at once over three replicas and ${name} exactly one wins`, async () => {
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
    assert.deepEqual(await third.ended(), { code: 1008, reason: 'Too many connections' });
    await two[0]?.close();
    const again = await open(0, '/any', token);
    again.send('in');
    assert.equal(await again.text(), 'in');
    const other = await open(0, '/any', issuer.sign());
    await Promise.all([two[1]?.close(), again.close(), other.close()]);
  });
});
