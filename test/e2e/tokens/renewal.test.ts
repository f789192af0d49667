import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, runGateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, startSlowSpeaker, type Upstream } from '../../support/upstreams/upstream.js';

const EXPIRED = { code: 1008, reason: 'Token expired' };
const REVOKED = { code: 1008, reason: 'Token revoked' };
const FAILED = { type: 'ws-gateway.renew-failed' };
/** What a session may not ask for twice in, and a little more. */
const INTERVAL_MS = 1_050;

describe('a session that goes on under another token', () => {
  let issuer: Issuer;
  let stranger: Issuer;
  let echo: Upstream;
  let slowSpeaker: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    stranger = await startIssuer();
    echo = await startEcho();
    slowSpeaker = await startSlowSpeaker();
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        JWT_CLOCK_SKEW_SECONDS: '0',
        MAX_SESSIONS_PER_TOKEN: '1',
      },
      routes: [
        { prefix: '/renew', upstream: echo.url, protocol: 'raw', renew: true },
        { prefix: '/staff', upstream: echo.url, renew: true, requireRoles: ['staff'] },
        { prefix: '/once', upstream: echo.url, renew: true, once: true },
        { prefix: '/fragments', upstream: slowSpeaker.url, renew: true },
        { prefix: '/open', upstream: echo.url, renew: true, auth: 'public' },
        { prefix: '/plain', upstream: echo.url },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), slowSpeaker.close(), issuer.close(), stranger.close()]);
  });
  afterEach(async () => {
    await assertQuiet(gateway, { upstreams: [echo, slowSpeaker] });
    echo.reset();
    slowSpeaker.reset();
  });

  const open = (path: string, token: string) => Peer.open(gateway.ws + path, { token });

  async function renew(peer: Peer, token: unknown): Promise<unknown> {
    peer.send(JSON.stringify({ type: 'ws-gateway.renew', token }));
    return JSON.parse(await peer.text()) as unknown;
  }

  async function echoes(peer: Peer, text: string): Promise<void> {
    peer.send(text);
    assert.equal(await peer.text(), text);
  }

  const revoke = (sub: string, jti: string) =>
    http(`${gateway.http}/admin/revoke`, { method: 'POST', body: JSON.stringify({ sub, jti }) });

  it("survives its first token's end and ends at the second's", async () => {
    const peer = await open('/renew', issuer.sign({}, { expiresInSeconds: 2 }));
    const exp = Math.floor(Date.now() / 1000) + 5;
    assert.deepEqual(await renew(peer, issuer.sign({ exp })), { type: 'ws-gateway.renewed', exp });
    await wait(2_500);
    await echoes(peer, 'still here');
    assert.deepEqual(await peer.ended(), EXPIRED);
    const lateMs = Date.now() - exp * 1000;
    assert.ok(lateMs >= 0, `${-lateMs} ms before the second token ended`);
    assert.deepEqual(
      echo.sessions[0]?.inbox.map(({ data }) => data.toString()),
      ['still here'],
    );
  });

  it('ends sooner if the other token does', async () => {
    const peer = await open('/renew', issuer.sign());
    const exp = Math.floor(Date.now() / 1000) + 2;
    assert.deepEqual(await renew(peer, `Bearer ${issuer.sign({ exp })}`), {
      type: 'ws-gateway.renewed',
      exp,
    });
    assert.deepEqual(await peer.ended(), EXPIRED);
  });

  it('is revoked by what revokes the new token, and no more by what revoked the old one', async () => {
    const peer = await open('/renew', issuer.sign({ jti: 'old' }));
    const answer = (await renew(peer, issuer.sign({ jti: 'new' }))) as { type: string };
    assert.equal(answer.type, 'ws-gateway.renewed');
    await revoke('alice', 'old');
    await echoes(peer, 'still here');
    await revoke('alice', 'new');
    assert.deepEqual(await peer.ended(), REVOKED);
  });

  const nowSeconds = () => Math.floor(Date.now() / 1000);
  const bad: readonly [string, () => unknown][] = [
    ["another subject's", () => issuer.sign({ sub: 'bob' })],
    ["another issuer's name on it", () => issuer.sign({ iss: 'https://elsewhere.example' })],
    ['forged', () => stranger.sign({ iss: issuer.url }, { header: { kid: issuer.published[0]?.kid } })],
    ['unsigned', () => issuer.sign({}, { header: { alg: 'none' } })],
    ['expired', () => issuer.sign({ exp: nowSeconds() - 60 })],
    ['revoked', () => issuer.sign({ jti: 'gone' })],
    ['no token', () => 'nonsense'],
    ['no text', () => 7],
    ['missing', () => undefined],
  ];
  it('goes on under the old token when the new one is not good', async () => {
    await revoke('alice', 'gone');
    await Promise.all(
      bad.map(async ([name, token]) => {
        const jti = `kept-${name}`;
        const peer = await open('/renew', issuer.sign({ jti }));
        assert.deepEqual(await renew(peer, token()), FAILED, name);
        await echoes(peer, name);
        await revoke('alice', jti);
        assert.deepEqual(await peer.ended(), REVOKED, name);
      }),
    );
    for (const { inbox } of echo.sessions) assert.equal(inbox.length, 1, 'no renewal goes upstream');
  });

  it('ends with its first token when a renewal failed', async () => {
    const peer = await open('/renew', issuer.sign({}, { expiresInSeconds: 2 }));
    assert.deepEqual(await renew(peer, issuer.sign({ sub: 'bob' })), FAILED);
    assert.deepEqual(await peer.ended(), EXPIRED);
  });

  it('is renewed at most once a second', async () => {
    const peer = await open('/renew', issuer.sign());
    for (let i = 0; i < 20; i++)
      peer.send(JSON.stringify({ type: 'ws-gateway.renew', token: issuer.sign() }));
    const types: unknown[] = [];
    for (let i = 0; i < 20; i++) types.push((JSON.parse(await peer.text()) as { type: string }).type);
    assert.equal(types.filter((type) => type === 'ws-gateway.renewed').length, 1);
    await wait(INTERVAL_MS);
    const later = (await renew(peer, issuer.sign())) as { type: string };
    assert.equal(later.type, 'ws-gateway.renewed');
    await peer.close();
  });

  it('needs the roles of its route in the new token, too', async () => {
    const peer = await open('/staff', issuer.sign({ roles: ['staff'] }));
    assert.deepEqual(await renew(peer, issuer.sign({ roles: ['guest'] })), FAILED);
    await echoes(peer, 'still here');
    await peer.close();
  });

  it('uses up a token that opens one session', async () => {
    const first = issuer.sign();
    const second = issuer.sign();
    const peer = await open('/once', first);
    assert.deepEqual(await renew(peer, first), FAILED);
    await wait(INTERVAL_MS);
    assert.equal(((await renew(peer, second)) as { type: string }).type, 'ws-gateway.renewed');
    await peer.close();
    const late = await open('/once', second);
    assert.deepEqual(await late.ended(), { code: 1008, reason: 'Token already used' });
  });

  it('gives the slot of the old token back and takes one of the new one', async () => {
    const [first, second] = [issuer.sign(), issuer.sign()];
    const peer = await open('/renew', first);
    await renew(peer, second);
    const another = await open('/renew', first);
    await echoes(another, 'in');
    assert.deepEqual(await renew(another, second), FAILED);
    const third = await open('/renew', second);
    assert.deepEqual(await third.ended(), { code: 1008, reason: 'Too many connections' });
    await Promise.all([peer.close(), another.close()]);
    const again = await open('/renew', second);
    await echoes(again, 'in');
    await again.close();
  });

  it('is not told in the middle of what its upstream says', async () => {
    const peer = await open('/fragments', issuer.sign());
    peer.send(JSON.stringify({ type: 'ws-gateway.renew', token: 'nonsense' }));
    await eventually(() => gateway.takeLines().some((line) => line.includes('renewal refused')));
    peer.send('go on');
    assert.equal(await peer.text(), 'first,last');
    assert.deepEqual(JSON.parse(await peer.text()), FAILED);
    await peer.close();
  });

  it('has nothing to renew where nobody knows who it is', async () => {
    const peer = await Peer.open(`${gateway.ws}/open`);
    assert.deepEqual(await renew(peer, issuer.sign()), FAILED);
    await echoes(peer, 'still here');
    await peer.close();
  });

  it('lets binary messages and other routes alone', async () => {
    const text = JSON.stringify({ type: 'ws-gateway.renew', token: 'x' });
    const peer = await open('/renew', issuer.sign());
    peer.send(Buffer.from(text));
    assert.deepEqual(await peer.next(), { data: Buffer.from(text), isBinary: true });
    await peer.close();
    const plain = await open('/plain', issuer.sign());
    await echoes(plain, text);
    await plain.close();
  });
});

for (const workers of [1, 2])
  describe(`POST /session/renew, workers: ${workers}`, () => {
    let issuer: Issuer;
    let echo: Upstream;
    let gateway: Gateway;

    before(async () => {
      issuer = await startIssuer();
      echo = await startEcho();
      gateway = await startGateway({
        env: { JWKS_URL: issuer.jwksUrl, WORKERS: String(workers), JWT_CLOCK_SKEW_SECONDS: '0' },
        routes: JSON.stringify({
          targets: { host: { claim: 'host', allow: ['127.0.0.1'] } },
          routes: [
            { prefix: '/plain', upstream: echo.url },
            { prefix: '/narrow', upstream: echo.url, audience: 'narrow' },
            { prefix: '/open', upstream: echo.url, auth: 'public' },
            { prefix: '/chosen', upstream: `ws://{host}:${new URL(echo.url).port}/` },
          ],
        }),
      });
    });
    after(async () => {
      await gateway.stop();
      await Promise.all([echo.close(), issuer.close()]);
    });
    afterEach(async () => {
      await assertQuiet(gateway, { upstreams: [echo] });
      echo.reset();
    });

    const post = (token: string | undefined, body: unknown, method = 'POST') =>
      http(`${gateway.http}/session/renew`, {
        method,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
    const open = (path: string, token: string) => Peer.open(gateway.ws + path, { token });
    const revoke = (jti: string) =>
      http(`${gateway.http}/admin/revoke`, { method: 'POST', body: JSON.stringify({ sub: 'alice', jti }) });

    it('renews a session, whichever worker has it', async () => {
      const first = issuer.sign({}, { expiresInSeconds: 3 });
      const peers = await Promise.all(Array.from({ length: 4 }, () => open('/plain', first)));
      const exp = Math.floor(Date.now() / 1000) + 6;
      for (const { sessionId } of peers) {
        const answer = await post(issuer.sign({ exp }), { session: sessionId });
        assert.equal(answer.status, 204, answer.body);
        assert.equal(answer.headers['cache-control'], 'no-store');
      }
      await wait(3_500);
      for (const peer of peers) {
        peer.send('still here');
        assert.equal(await peer.text(), 'still here');
      }
      for (const peer of peers) assert.deepEqual(await peer.ended(), EXPIRED);
      assert.ok(Date.now() >= exp * 1000);
    });

    it('changes nothing for a token that is no good, and tells nobody without a good one what there is', async () => {
      const jti = `kept-${workers}`;
      const peer = await open('/plain', issuer.sign({ jti }));
      await revoke('gone');
      const body = { session: peer.sessionId };
      for (const token of [
        undefined,
        'nonsense',
        issuer.sign({ jti: 'gone' }),
        issuer.sign({ exp: 1 }),
        `${issuer.sign()}x`,
      ]) {
        const answer = await post(token, body);
        assert.equal(answer.status, 401, token);
        const challenge = token === undefined ? 'Bearer' : 'Bearer error="invalid_token"';
        assert.equal(answer.headers['www-authenticate'], challenge);
        assert.equal((await post(token, { session: 'unknown' })).status, 401);
      }
      assert.equal((await post(issuer.sign({ sub: 'bob' }), body)).status, 404);
      assert.equal((await post(issuer.sign({ iss: 'https://elsewhere.example' }), body)).status, 404);
      assert.equal((await post(issuer.sign(), { session: 'unknown' })).status, 404);
      assert.equal((await post(issuer.sign(), { session: peer.sessionId.toUpperCase() })).status, 404);
      await revoke(jti);
      assert.deepEqual(await peer.ended(), REVOKED);
      assert.equal((await post(issuer.sign(), body)).status, 404, 'it is over');
    });

    it("holds the token against the session's own route", async () => {
      const peer = await open('/narrow', issuer.sign({ aud: 'narrow' }));
      const body = { session: peer.sessionId };
      assert.equal((await post(issuer.sign({ aud: 'wide' }), body)).status, 401);
      await wait(INTERVAL_MS);
      assert.equal((await post(issuer.sign({ aud: ['narrow', 'wide'] }), body)).status, 204);
      await peer.close();
      const nobody = await Peer.open(`${gateway.ws}/open`);
      assert.equal((await post(issuer.sign(), { session: nobody.sessionId })).status, 404);
      await nobody.close();
      const host = '127.0.0.1';
      const chosen = await open('/chosen', issuer.sign({ host }));
      chosen.send('in');
      assert.equal(await chosen.text(), 'in');
      assert.equal((await post(issuer.sign({ host }), { session: chosen.sessionId })).status, 404);
      await chosen.close();
    });

    it('renews at most once a second, of which strangers use up nothing', async () => {
      const peer = await open('/plain', issuer.sign());
      const body = { session: peer.sessionId };
      assert.equal((await post(issuer.sign({ sub: 'bob' }), body)).status, 404);
      assert.equal((await post('nonsense', body)).status, 401);
      assert.equal((await post(issuer.sign(), body)).status, 204);
      const soon = await post(issuer.sign(), body);
      assert.equal(soon.status, 429);
      assert.equal(soon.headers['retry-after'], '1');
      await peer.close();
    });

    it('takes a JSON object with the session by POST', async () => {
      for (const body of ['', 'null', '[]', '{', '{}', '{"session":7}', '"x"'])
        assert.equal((await post(issuer.sign(), body)).status, 400, body);
      assert.equal((await post(issuer.sign(), { session: 'x'.repeat(70_000) })).status, 413);
      const answer = await post(issuer.sign(), '', 'GET');
      assert.equal(answer.status, 405);
      assert.equal(answer.headers.allow, 'POST');
    });
  });

describe('the route key renew', () => {
  it('goes with routes of raw clients and tokens only', async () => {
    const upstream = 'ws://127.0.0.1:1';
    const header = { header: 'x-user', from: ['127.0.0.1'] };
    for (const [entry, why] of [
      [{ prefix: '/x', upstream, protocol: 'mqtt', renew: true }, /renew: goes with protocol: raw, or none/],
      [
        { prefix: '/x', upstream, mqtt: { roles: 'username' }, renew: true },
        /renew: goes with protocol: raw/,
      ],
      [{ prefix: '/x', upstream, auth: header, renew: true }, /renew: does not go with a mapping in auth/],
      [{ prefix: '/x', upstream, renew: 'yes' }, /renew: "yes" is not allowed: must be true or false/],
      [{ prefix: '/x', upstream: 'ws://{named}:1/', renew: true }, /renew: does not go with a placeholder/],
    ] as const) {
      const targets = { named: { claim: 'host', allow: ['*.pods.test'] } };
      const { code, stdout, stderr } = await runGateway({
        env: { JWKS_URL: 'https://id.example/keys' },
        routes: JSON.stringify({ targets, routes: [entry] }),
      });
      assert.equal(code, 1);
      assert.match(stdout + stderr, why);
    }
  });
});
