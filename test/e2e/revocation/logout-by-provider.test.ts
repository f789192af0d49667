import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { exportJWK } from 'jose';
import { http } from '../../support/clients/http.js';
import type { Gateway } from '../../support/gateway/gateway.js';
import { REVOKED, Replicas, stillIn } from '../../support/gateway/replicas.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startProvider } from '../../support/servers/oidc-provider.js';
import { type RedisServer, startRedis } from '../../support/servers/redis-server.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const EVENTS = { 'http://schemas.openid.net/event/backchannel-logout': {} };
const CLIENT = 'gateway';

describe('logout by the provider', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let redis: RedisServer;
  let replicas: Replicas;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    redis = await startRedis();
    replicas = await Replicas.start(2, issuer, echo, {
      REDIS_URL: redis.url,
      JWT_EXPECTED_ISSUER: issuer.url,
      BACKCHANNEL_LOGOUT: 'true',
      BACKCHANNEL_CLIENT_ID: CLIENT,
    });
  });
  after(async () => {
    await replicas.stop();
    await Promise.all([redis.stop(), echo.close(), issuer.close()]);
  });
  afterEach(() => replicas.leaveQuiet(echo));

  const logoutToken = (claims: Record<string, unknown>, typ = 'logout+jwt') =>
    issuer.sign({ aud: CLIENT, events: EVENTS, sub: undefined, ...claims }, { header: { typ } });

  /** @returns the status. */
  async function send(token: string, to: number | Gateway | undefined = 0): Promise<number> {
    const gateway = typeof to === 'number' ? replicas.gateways[to] : to;
    const url = `${gateway?.http}/oidc/backchannel-logout`;
    const { status, headers } = await http(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token: token }).toString(),
    });
    assert.equal(headers['cache-control'], 'no-store');
    return status;
  }

  it('ends the sessions of a sid in every replica, and no other; new ones are refused', async () => {
    const token = issuer.sign({ sub: 'ann', sid: 'one' });
    const doomed = await replicas.openEverywhere(token);
    const others = await replicas.openEverywhere(issuer.sign({ sub: 'ann', sid: 'two' }));
    assert.equal(await send(logoutToken({ sid: 'one' })), 200);
    for (const peer of doomed) assert.deepEqual(await peer.ended(), REVOKED);
    await replicas.refusedEverywhere(token);
    await stillIn(others);
  });

  it('ends all sessions of a subject where no sid is named', async () => {
    const doomed = await replicas.openEverywhere(issuer.sign({ sub: 'bob', sid: 'x' }));
    const others = await replicas.openEverywhere(issuer.sign({ sub: 'ben' }));
    assert.equal(await send(logoutToken({ sub: 'bob' }), 1), 200);
    for (const peer of doomed) assert.deepEqual(await peer.ended(), REVOKED);
    await stillIn(others);
  });

  it('takes a logout token once, whichever replica gets it', async () => {
    const token = logoutToken({ sid: 'once' });
    assert.equal(await send(token, 0), 200);
    assert.equal(await send(token, 0), 400);
    assert.equal(await send(token, 1), 400);
  });

  it('takes a logout token once, whichever worker gets it, without a store', async (t) => {
    const env = {
      JWT_EXPECTED_ISSUER: issuer.url,
      BACKCHANNEL_LOGOUT: 'true',
      BACKCHANNEL_CLIENT_ID: CLIENT,
    };
    const crew = await Replicas.start(1, issuer, echo, { ...env, WORKERS: '2' });
    t.after(() => crew.stop());
    const token = logoutToken({ sid: 'once' });
    // Each on a connection of its own, which are dealt out in turn.
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(token, crew.gateways[0])));
    assert.deepEqual(answers.sort(), [200, ...Array<number>(7).fill(400)]);
  });

  it('is carried out while the store is down that knows which tokens were used, and elsewhere after it', async (t) => {
    const own = await startRedis();
    t.after(() => own.stop());
    const pair = await Replicas.start(2, issuer, echo, {
      REDIS_URL: own.url,
      JWT_EXPECTED_ISSUER: issuer.url,
      BACKCHANNEL_LOGOUT: 'true',
      BACKCHANNEL_CLIENT_ID: CLIENT,
    });
    t.after(() => pair.stop());
    await pair.connected('redis', 10_000);
    const token = issuer.sign({ sub: 'eve', sid: 'down' });
    const [here, there] = await pair.openEverywhere(token);
    await own.kill();
    assert.equal(await send(logoutToken({ sid: 'down' }), pair.gateways[0]), 200);
    assert.deepEqual(await here?.ended(), REVOKED);
    await own.restart();
    assert.deepEqual(await there?.ended(), REVOKED);
    await pair.refusedEverywhere(token);
    await pair.leave();
  });

  it('changes nothing for what is no logout token', async () => {
    const peers = await replicas.openEverywhere(issuer.sign({ sub: 'cy', sid: 'keep' }));
    const good = { sid: 'keep' };
    for (const token of [
      logoutToken(good, 'at+jwt'),
      logoutToken({ ...good, nonce: 'n' }),
      logoutToken({ ...good, events: {} }),
      logoutToken({ ...good, aud: 'other' }),
      `${logoutToken(good).slice(0, -8)}AAAAAAAA`,
      issuer.sign({ sub: 'cy', sid: 'keep' }),
      'x',
      '',
    ])
      assert.equal(await send(token), 400);
    const url = `${replicas.gateways[0]?.http}/oidc/backchannel-logout`;
    assert.equal((await http(url)).status, 405);
    assert.equal((await http(url, { method: 'POST', body: '{}' })).status, 400);
    await stillIn(peers);
  });

  it('is done by the admin API too', async () => {
    const doomed = await replicas.openEverywhere(issuer.sign({ sub: 'dan', sid: 'admin' }));
    const answer = await replicas.revoke(replicas.gateways[0], { sid: 'admin' });
    assert.deepEqual(answer, { status: 200, revoked: true, sessionsClosed: 1, propagated: true });
    for (const peer of doomed) assert.deepEqual(await peer.ended(), REVOKED);
    const { status } = await http(`${replicas.gateways[0]?.http}/admin/revoke`, {
      method: 'POST',
      body: JSON.stringify({ sid: 'x', sub: 'y' }),
    });
    assert.equal(status, 400);
  });
});

describe("oidc-provider's own logout token", () => {
  it('ends the session it names', async (t) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const echo = await startEcho();
    const key = { ...(await exportJWK(privateKey)), kid: 'k', alg: 'RS256', use: 'sig' };
    const issuer = await startIssuer();
    issuer.published.push({ kty: 'RSA', n: key.n ?? '', e: key.e ?? '', kid: 'k', alg: 'RS256', use: 'sig' });
    t.after(() => Promise.all([echo.close(), issuer.close()]));
    let replicas: Replicas | undefined;
    const { url, provider, close } = await startProvider(async (url) => {
      // Tokens of clients and of logouts are signed by two keys of one set.
      replicas = await Replicas.start(1, issuer, echo, {
        JWT_EXPECTED_ISSUER: url,
        BACKCHANNEL_LOGOUT: 'true',
        BACKCHANNEL_CLIENT_ID: CLIENT,
      });
      return {
        jwks: { keys: [key] },
        clients: [
          {
            client_id: CLIENT,
            client_secret: 'secret-of-the-gateway',
            grant_types: ['authorization_code'],
            redirect_uris: ['http://127.0.0.1/back'],
            response_types: ['code'],
            backchannel_logout_uri: `${replicas.gateways[0]?.http}/oidc/backchannel-logout`,
            backchannel_logout_session_required: true,
          },
        ],
        features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
        // Its own way out refuses addresses such as this host's.
        fetch: (address, { method, headers, body }) =>
          fetch(address, { method, headers, body } as RequestInit),
      };
    });
    t.after(close);
    assert.ok(replicas !== undefined);
    t.after(() => replicas?.stop());
    const doomed = await replicas.open(
      replicas.gateways[0],
      issuer.sign({ iss: url, sub: 'eve', sid: 'at-the-provider' }),
    );
    const other = await replicas.open(replicas.gateways[0], issuer.sign({ iss: url, sub: 'eve', sid: 'b' }));
    const client = await provider.Client.find(CLIENT);
    await client?.backchannelLogout('eve', 'at-the-provider');
    assert.deepEqual(await doomed.ended(), REVOKED);
    await stillIn([other]);
    await replicas.leave();
  });
});
