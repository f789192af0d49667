import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { type HttpAnswer, http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const REVOKED = { code: 1008, reason: 'Token revoked' };
const ADMIN_TOKEN = 'administrator-of-tests';

describe('revocation', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let gateway: Gateway;
  let local: Gateway;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    const routes = [{ prefix: '/echo', upstream: echo.url }];
    gateway = await startGateway({ env: { JWKS_URL: issuer.jwksUrl, ADMIN_TOKEN }, routes });
    local = await startGateway({ env: { JWKS_URL: issuer.jwksUrl }, routes });
  });
  after(async () => {
    await Promise.all([gateway.stop(), local.stop()]);
    await Promise.all([echo.close(), issuer.close()]);
  });
  afterEach(async () => {
    echo.reset();
    await assertQuiet(gateway, { upstreams: [echo], secrets: [ADMIN_TOKEN] });
  });

  const open = (token: string): Promise<Peer> => Peer.open(`${gateway.ws}/echo`, { token });
  const revoke = (
    body: unknown,
    headers: Readonly<Record<string, string>> = { authorization: `Bearer ${ADMIN_TOKEN}` },
    method = 'POST',
  ): Promise<HttpAnswer> =>
    http(`${gateway.http}/admin/revoke`, {
      method,
      headers,
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  it('closes the sessions of the token on both sides and refuses it from then on', async () => {
    const [jti, other] = [randomUUID(), randomUUID()];
    const token = issuer.sign({ sub: 'ann', jti });
    const doomed = [await open(token), await open(token)];
    const spared = await open(issuer.sign({ sub: 'ann', jti: other }));
    const answer = await revoke({ sub: 'ann', jti });
    assert.equal(answer.status, 200);
    assert.deepEqual(JSON.parse(answer.body), { revoked: true, sessionsClosed: 2, propagated: true });
    for (const peer of doomed) assert.deepEqual(await peer.ended(), REVOKED);
    for (const index of [0, 1]) assert.equal((await (await echo.session(index)).ended()).code, 1001);
    assert.deepEqual(await (await open(token)).ended(), REVOKED);
    const late = await Peer.open(`${gateway.ws}/echo`);
    late.send(token);
    assert.deepEqual(await late.ended(), REVOKED);
    spared.send('still here');
    assert.equal(await spared.text(), 'still here');
    await spared.close();
    assert.equal((await gateway.metrics()).sum('ws_session_closed_total', { reason: 'token_revoked' }), 4);
  });

  it('matches subject and token id exactly', async () => {
    const pairs = [
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['*', '*'],
      ['[a]', 'x'],
      ['a\nb', 'c'],
      ['{a}', 'c'],
    ] as const;
    const peers = new Map<string, Peer>();
    for (const [sub, jti] of pairs) peers.set(`${sub}|${jti}`, await open(issuer.sign({ sub, jti })));
    for (const [sub, jti] of pairs) {
      const answer = await revoke({ sub, jti });
      assert.equal(
        (JSON.parse(answer.body) as { sessionsClosed: number }).sessionsClosed,
        1,
        `${sub}|${jti}`,
      );
      assert.deepEqual(await peers.get(`${sub}|${jti}`)?.ended(), REVOKED);
    }
  });

  it('answers bad requests by the book', async () => {
    const bearer = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const body = { sub: 'a', jti: 'b' };
    for (const authorization of [
      '',
      'Bearer',
      'Bearer x',
      `Bearer ${ADMIN_TOKEN}x`,
      ADMIN_TOKEN.slice(1),
      `Basic ${ADMIN_TOKEN}`,
    ])
      assert.equal((await revoke(body, { authorization })).status, 401, authorization);
    assert.equal((await revoke(body, {})).status, 401);
    for (const method of ['PUT', 'DELETE', 'GET'])
      assert.equal((await revoke('', bearer, method)).status, 405, method);
    const cases: [unknown, RegExp][] = [
      ['nonsense', /invalid payload/],
      ['', /invalid payload/],
      ['[]', /invalid payload|missing required field/],
      [{ sub: 'a' }, /missing required field: jti/],
      [{ jti: 'b' }, /missing required field: sub/],
      [{ sub: '', jti: 'b' }, /missing required field: sub/],
    ];
    for (const [payload, message] of cases) {
      const answer = await revoke(payload);
      assert.equal(answer.status, 400, JSON.stringify(payload));
      assert.match(answer.body, message);
    }
    assert.equal((await revoke('x'.repeat(65 * 1024))).status, 413);
    assert.equal((await revoke({ sub: 'a', jti: 'b', ['__proto__']: { x: 1 } })).status, 200);
    assert.equal((await http(`${gateway.http}/admin/nothing`, { headers: bearer })).status, 404);
  });

  it('without ADMIN_TOKEN is for loopback peers alone, and not through a proxy', async () => {
    const body = JSON.stringify({ sub: 'a', jti: 'b' });
    const url = `${local.http}/admin/revoke`;
    assert.equal((await http(url, { method: 'POST', body })).status, 200);
    for (const header of ['x-forwarded-for', 'forwarded', 'x-real-ip']) {
      const headers = { [header]: header === 'forwarded' ? 'for=203.0.113.7' : '203.0.113.7' };
      const { status } = await http(url, { method: 'POST', body, headers });
      if (header === 'x-forwarded-for') assert.equal(status, 403, header);
      else assert.ok(status === 403 || status === 200, header);
    }
    await assertQuiet(local);
  });
});
