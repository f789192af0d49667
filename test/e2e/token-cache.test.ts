import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { type Gateway, startGateway } from '../support/gateway.js';
import { startIssuer } from '../support/issuer.js';
import { startPostgres } from '../support/postgres-server.js';
import { assertQuiet } from '../support/quiet.js';
import { startRedis } from '../support/redis-server.js';
import { startEcho } from '../support/upstream.js';
import { Peer } from '../support/ws-client.js';

const STORES = {
  async redis() {
    const server = await startRedis();
    return { env: { REDIS_URL: server.url }, stop: () => server.stop() };
  },
  async postgres() {
    const server = await startPostgres();
    return { env: { POSTGRES_DSN: server.dsn }, stop: () => server.stop() };
  },
};

function part(json: unknown): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url');
}

async function answered(gateway: Gateway, token: string): Promise<string> {
  const peer = await Peer.open(`${gateway.ws}/echo`, { token });
  peer.send('in');
  const text = await peer.text();
  await peer.close();
  return text;
}

for (const [store, start] of Object.entries(STORES))
  it(`a token that one replica verified serves at another through ${store}, and no forgery of it does`, async (t) => {
    const { env, stop } = await start();
    const [issuer, echo] = await Promise.all([startIssuer(), startEcho()]);
    const replica = () =>
      startGateway({
        env: { ...env, JWKS_URL: issuer.jwksUrl, JWT_CACHE_STORE: store },
        routes: [{ prefix: '/echo', upstream: echo.url }],
      });
    const [one, two] = await Promise.all([replica(), replica()]);
    t.after(async () => {
      await Promise.all([one.stop(), two.stop()]);
      await Promise.all([stop(), issuer.close(), echo.close()]);
    });
    const claims = {
      sub: 'alice',
      jti: randomUUID(),
      iss: issuer.url,
      exp: Math.floor(Date.now() / 1000) + 600,
    };
    const token = issuer.sign(claims);
    await eventually(async () => {
      await answered(one, token);
      await answered(two, token);
      return (await two.metrics()).sum('ws_token_cache_total', { store, result: 'hit' }) > 0;
    });
    echo.reset();
    const forged = { ...claims, roles: ['admin'] };
    const [header, , signature] = token.split('.');
    const forgeries = [
      `${part({ alg: 'none' })}.${part(forged)}.`,
      `${header}.${part(forged)}.${signature}`,
      `${token.slice(0, token.lastIndexOf('.'))}.`,
    ];
    for (const gateway of [one, two])
      for (const forgery of forgeries) {
        const peer = await Peer.open(`${gateway.ws}/echo`, { token: forgery });
        assert.deepEqual(await peer.ended(), { code: 1008, reason: 'JWT invalid or expired' });
      }
    assert.equal(echo.sessions.length, 0, 'no dial');
    assert.equal(await answered(two, token), 'in');
    for (const gateway of [one, two]) await assertQuiet(gateway, { upstreams: [echo], secrets: [token] });
  });
