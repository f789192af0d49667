import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it } from 'node:test';
import { calculateJwkThumbprint } from 'jose';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { startIssuer } from '../../support/servers/issuer.js';
import { startPostgres } from '../../support/servers/postgres-server.js';
import { startRedis } from '../../support/servers/redis-server.js';
import { startEcho } from '../../support/upstreams/upstream.js';

const SECRET = 'of all replicas, and of nobody else';
const PREFIX = 'jwt_cached_token_';

const STORES = {
  async redis() {
    const server = await startRedis();
    return {
      env: { REDIS_URL: server.url },
      async entries() {
        const keys = await server.admin.keys(`${PREFIX}*`);
        return new Map(
          await Promise.all(keys.map(async (key) => [key, (await server.admin.get(key)) ?? ''] as const)),
        );
      },
      put: (key: string, text: string) => server.admin.set(key, text, 'EX', 600),
      stop: () => server.stop(),
    };
  },
  async postgres() {
    const server = await startPostgres();
    return {
      env: { POSTGRES_DSN: server.dsn },
      async entries() {
        const { rows } = await server.sql('SELECT key, value FROM jwt_cache');
        return new Map(rows.map(({ key, value }) => [String(key), String(value)] as const));
      },
      put: (key: string, text: string) =>
        server.sql(
          `INSERT INTO jwt_cache (key, value, expires) VALUES ($1, $2, now() + interval '10 min')
           ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
          [key, text],
        ),
      stop: () => server.stop(),
    };
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
        env: { ...env, JWKS_URL: issuer.jwksUrl, JWT_CACHE_STORE: store, CACHE_SECRET: SECRET },
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

for (const [store, start] of Object.entries(STORES))
  it(`without CACHE_SECRET a process finds in ${store} what it put there, and nobody else does`, async (t) => {
    const [{ env, entries, stop }, issuer, echo] = await Promise.all([start(), startIssuer(), startEcho()]);
    t.after(() => Promise.all([stop(), issuer.close(), echo.close()]));
    const replica = () =>
      startGateway({
        env: { ...env, JWKS_URL: issuer.jwksUrl, JWT_CACHE_STORE: store, JWT_CACHE_MAX_ENTRIES: '1' },
        routes: [{ prefix: '/echo', upstream: echo.url }],
      });
    const [one, two] = await Promise.all([replica(), replica()]);
    t.after(() => Promise.all([one.stop(), two.stop()]));
    const tokens = ['alice', 'bob'].map((sub) => issuer.sign({ sub }));
    const hits = async (gateway: Gateway) =>
      (await gateway.metrics()).sum('ws_token_cache_total', { store, result: 'hit' });
    for (const token of tokens) assert.equal(await answered(one, token), 'in');
    await eventually(async () => (await entries()).size === tokens.length);
    for (const token of tokens) assert.equal(await answered(two, token), 'in');
    assert.equal(await hits(two), 0);
    // By turns: memory holds the last one only.
    await eventually(async () => {
      for (const token of tokens) await answered(one, token);
      return (await hits(one)) > 0;
    });
  });

const VICTIMS = [
  { store: 'redis', secret: undefined, workers: '1' },
  { store: 'redis', secret: SECRET, workers: '2' },
  { store: 'postgres', secret: undefined, workers: '2' },
  { store: 'postgres', secret: SECRET, workers: '1' },
] as const;

for (const { store, secret, workers } of VICTIMS)
  it(`T-09: whoever writes ${store} logs in as nobody, ${secret ? 'with' : 'without'} CACHE_SECRET, ${workers} worker(s)`, async (t) => {
    const [{ env, entries, put, stop }, issuer, echo] = await Promise.all([
      STORES[store](),
      startIssuer(),
      startEcho(),
    ]);
    t.after(() => Promise.all([stop(), issuer.close(), echo.close()]));
    const gateway = (own: Record<string, string | undefined>) =>
      startGateway({
        env: { ...env, JWKS_URL: issuer.jwksUrl, JWT_CACHE_STORE: store, ...own },
        routes: [{ prefix: '/echo', upstream: echo.url }],
      });
    // A gateway with the attacker's keys, at what reads as the same address, makes a forged token's entry.
    const [foreign = ''] = issuer.published.map(({ kid }) => kid ?? '');
    const attacker = await gateway({ CACHE_SECRET: 'of the attacker alone' });
    const forged = issuer.sign({ sub: 'alice', roles: ['admin'] });
    const made = await eventually(async () => {
      await answered(attacker, forged);
      const all = await entries();
      assert.ok(all.size > 0);
      return all;
    });
    await attacker.stop();

    // The victim's keys take their place; a token of the attacker's own tells which: it is public anyway.
    issuer.removeKey(foreign);
    await issuer.addKey('RS256');
    const thumbprint = await calculateJwkThumbprint(issuer.publicKey().export({ format: 'jwk' }));
    const sealed: Record<string, unknown> = JSON.parse([...made.values()][0] ?? '{}');
    const entry = { ...JSON.parse(String(sealed.entry)), keyThumbprint: thumbprint };
    const victim = await gateway({ CACHE_SECRET: secret, WORKERS: workers });
    t.after(() => victim.stop());
    assert.equal(await answered(victim, issuer.sign({ sub: 'alice' })), 'in');
    echo.reset();
    // With the attacker's seal, with the right one of another entry, and as entries were before they had one.
    const strangers = await eventually(async () => {
      const own = [...(await entries())].filter(([key]) => !made.has(key));
      return own.length > 0 && own.map(([, text]) => text);
    });
    const texts = [
      JSON.stringify({ ...sealed, entry: JSON.stringify(entry) }),
      JSON.stringify(entry),
      ...strangers.flatMap((text) => [
        text,
        JSON.stringify({ ...JSON.parse(text), entry: JSON.stringify(entry) }),
      ]),
    ];
    for (const text of texts) {
      for (const key of made.keys()) await put(key, text);
      // Often enough to reach every worker.
      for (let i = 0; i < 4; i++) {
        const peer = await Peer.open(`${victim.ws}/echo`, { token: forged });
        assert.deepEqual(await peer.ended(), { code: 1008, reason: 'JWT invalid or expired' }, text);
      }
    }
    assert.equal(echo.sessions.length, 0, 'no dial');
    const isWarned = () => victim.output.includes('CACHE_SECRET is not set');
    if (secret === undefined) await eventually(isWarned);
    else assert.ok(!isWarned());
    assert.equal((await victim.metrics()).sum('ws_token_cache_total', { store, result: 'hit' }), 0);
    assert.equal(await answered(victim, issuer.sign({ sub: 'alice' })), 'in');
    await assertQuiet(victim, { upstreams: [echo], secrets: [SECRET, forged] });
  });
