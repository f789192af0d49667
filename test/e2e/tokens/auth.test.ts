import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { type Closing, Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const INVALID = { code: 1008, reason: 'JWT invalid or expired' };
const MALFORMED = { code: 1008, reason: 'Malformed JWT' };

const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

describe('authentication', () => {
  let issuer: Issuer;
  let stranger: Issuer;
  let echo: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    stranger = await startIssuer();
    echo = await startEcho();
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        JWT_EXPECTED_ISSUER: issuer.url,
        JWT_EXPECTED_AUDIENCE: 'gateway, other',
        JWT_VALID_ALGORITHMS: 'RS256',
        JWT_CLOCK_SKEW_SECONDS: '1',
        AUTH_TIMEOUT_SECONDS: '2',
      },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), issuer.close(), stranger.close()]);
  });
  afterEach(async () => {
    echo.reset();
    await assertQuiet(gateway, { upstreams: [echo] });
  });

  const valid = { aud: 'gateway', sub: 'alice' };
  /** How a session with this token ends, presented once in the header and once in the first message. */
  async function refusals(token: string): Promise<[Closing, Closing]> {
    const early = await Peer.open(`${gateway.ws}/echo`, { token });
    const late = await Peer.open(`${gateway.ws}/echo`);
    late.send(token);
    return [await early.ended(), await late.ended()];
  }
  async function assertRefused(tokens: Readonly<Record<string, string>>, expected: Closing): Promise<void> {
    const before = await gateway.metrics();
    for (const [name, token] of Object.entries(tokens))
      assert.deepEqual(await refusals(token), [expected, expected], name);
    assert.equal(echo.sessions.length, 0, 'nothing was dialled');
    const failures = (await gateway.metrics()).sum('ws_auth_failures_total');
    assert.equal(failures - before.sum('ws_auth_failures_total'), 2 * Object.keys(tokens).length);
  }
  async function assertAccepted(token: string): Promise<void> {
    const peer = await Peer.open(`${gateway.ws}/echo`, { token });
    peer.send('in');
    assert.equal(await peer.text(), 'in');
    await peer.close();
  }

  it('lets in a good token, again from the cache, and with its audience in a list', async () => {
    const token = issuer.sign(valid);
    await assertAccepted(token);
    await assertAccepted(token);
    await assertAccepted(issuer.sign({ ...valid, aud: ['x', 'other'] }));
    await assertAccepted(issuer.sign({ ...valid, exp: inSeconds(3) + 0.5 }));
  });

  it('refuses a forged token that names the subject and id of a cached one', async () => {
    const jti = randomUUID();
    const good = issuer.sign({ ...valid, jti });
    await assertAccepted(good);
    echo.reset();
    const [header, , signature] = good.split('.');
    const claims = { ...valid, jti, iss: issuer.url, exp: inSeconds(3600), roles: ['admin'] };
    await assertRefused(
      {
        'alg none': `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`,
        "the good one's signature over other claims": `${header}.${part(claims)}.${signature}`,
        'the good one without its signature': good.replace(/\.[^.]*$/, '.'),
        'a signature of another key under the same kid': stranger.sign(claims, {
          header: JSON.parse(Buffer.from(header!, 'base64url').toString()) as Record<string, unknown>,
        }),
      },
      INVALID,
    );
    await assertAccepted(good);
  });

  it('refuses every lifetime, issuer and audience that is not right', async () => {
    const sign = (claims: Readonly<Record<string, unknown>>): string => issuer.sign({ ...valid, ...claims });
    await assertRefused(
      {
        expired: sign({ exp: inSeconds(-10) }),
        'no exp': sign({ exp: undefined }),
        'exp as text': sign({ exp: String(inSeconds(60)) }),
        'negative exp': sign({ exp: -1 }),
        'null exp': sign({ exp: null }),
        'not yet valid': sign({ nbf: inSeconds(60) }),
        'no audience': sign({ aud: undefined }),
        'other audience': sign({ aud: 'gatewayx' }),
        'empty audience': sign({ aud: '' }),
        'empty audience list': sign({ aud: [] }),
        'both audiences in one text': sign({ aud: 'gateway, other' }),
        'other issuer': sign({ iss: stranger.url }),
        'issuer with a slash': sign({ iss: `${issuer.url}/` }),
        'no issuer': sign({ iss: undefined }),
        'no subject': sign({ sub: undefined }),
        'empty subject': sign({ sub: '' }),
        'subject as number': sign({ sub: 7 }),
      },
      INVALID,
    );
  });

  it('refuses algorithm tricks', async () => {
    const claims = { ...valid, iss: issuer.url, exp: inSeconds(3600) };
    const kid = issuer.published[0]?.kid;
    const hmac = (secret: string | Buffer): string => {
      const input = `${part({ alg: 'HS256', typ: 'JWT', kid })}.${part(claims)}`;
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
    };
    const key = issuer.publicKey();
    await assertRefused(
      {
        none: `${part({ alg: 'none' })}.${part(claims)}.`,
        None: `${part({ alg: 'None', kid })}.${part(claims)}.`,
        NONE: `${part({ alg: 'NONE', kid })}.${part(claims)}.AAAA`,
        'empty alg': `${part({ alg: '', kid })}.${part(claims)}.AAAA`,
        'no alg': `${part({ kid })}.${part(claims)}.AAAA`,
        'HS256 over the PEM': hmac(key.export({ type: 'spki', format: 'pem' })),
        'HS256 over the DER': hmac(key.export({ type: 'spki', format: 'der' })),
        'HS256 over the JWK': hmac(JSON.stringify(issuer.published[0])),
        'an algorithm not listed': issuer.sign(valid, { alg: 'PS256', header: { kid } }),
        'RS512 not listed': issuer.sign(valid, { alg: 'RS512', header: { kid } }),
      },
      INVALID,
    );
  });

  it('refuses foreign keys, wherever the header says they are', async () => {
    const claims = { ...valid, iss: issuer.url };
    const jwk = { ...stranger.published[0] };
    const canary = stranger.hits + stranger.strayHits;
    await assertRefused(
      {
        'unknown kid': stranger.sign(claims),
        'embedded jwk': stranger.sign(claims, { header: { jwk, kid: undefined } }),
        jku: stranger.sign(claims, { header: { jku: stranger.jwksUrl } }),
        x5u: stranger.sign(claims, { header: { x5u: `${stranger.url}/cert` } }),
        'kid of another shape': issuer.sign(valid, { header: { kid: ['a'] } }),
        'kid __proto__': issuer.sign(valid, { header: { kid: '__proto__' } }),
        'kid as a path': stranger.sign(claims, { header: { kid: '../../../../dev/null' } }),
        'critical extension': issuer.sign(valid, { header: { crit: ['x'], x: 1 } }),
        'empty crit': issuer.sign(valid, { header: { crit: [] } }),
        'crit as text': issuer.sign(valid, { header: { crit: 'exp' } }),
        'unencoded payload': issuer.sign(valid, { header: { crit: ['b64'], b64: false } }),
      },
      INVALID,
    );
    assert.equal(stranger.hits + stranger.strayHits, canary, 'no place that a token names was visited');
    assert.ok(issuer.hits <= 3, `unknown kids fetched the keys ${issuer.hits} times`);
  });

  it('calls malformed what is not three base64url parts of JSON', async () => {
    const good = issuer.sign(valid);
    const late = {
      'two parts': good.split('.').slice(0, 2).join('.'),
      'four parts': `${good}.AAAA`,
      'five parts': `${good}.AAAA.AAAA`,
      'not base64url': good.replace('.', '.!'),
      'header no JSON': `${part('nope')}.${good.split('.').slice(1).join('.')}`,
      'claims no JSON': `${good.split('.')[0]}.${part('{"sub":')}.${good.split('.')[2]}`,
      'a list for claims': issuer.signRaw('[]'),
      text: 'hello',
    };
    for (const [name, token] of Object.entries(late)) {
      const peer = await Peer.open(`${gateway.ws}/echo`);
      peer.send(token);
      assert.deepEqual(await peer.ended(), MALFORMED, name);
    }
    const empty = await Peer.open(`${gateway.ws}/echo`);
    empty.send(`${part({})}.${part({})}.`);
    assert.equal((await empty.ended()).code, 1008, 'e30.e30.');
    assert.equal(echo.sessions.length, 0);
  });

  it('takes tokens of 6 KB and refuses one over MAX_CONNECT_BYTES', async () => {
    const roles = (count: number): string[] =>
      Array.from({ length: count }, (_, index) => `role-number-${index}`);
    const token = issuer.sign({ ...valid, roles: roles(280) });
    assert.ok(token.length > 6000);
    const peer = await Peer.open(`${gateway.ws}/echo`);
    peer.send(token);
    peer.send('in');
    assert.equal(await peer.text(), 'in');
    await peer.close();
    const huge = await Peer.open(`${gateway.ws}/echo`);
    huge.send(issuer.sign({ ...valid, roles: roles(4000) }));
    assert.equal((await huge.ended()).code, 1009);
  });

  it('times out who presents nothing, and dials nothing for them', async () => {
    const peer = await Peer.open(`${gateway.ws}/echo`);
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Authentication timeout' });
    const mqtt = await Peer.open(`${gateway.ws}/echo`, { protocols: ['mqtt'] });
    assert.deepEqual(await mqtt.ended(), { code: 1008, reason: 'Authentication timeout' });
    assert.equal(echo.sessions.length, 0);
  });

  it('ends a session when its token expires', async () => {
    const started = Date.now();
    const peer = await Peer.open(`${gateway.ws}/echo`, {
      token: issuer.sign({ ...valid, exp: inSeconds(2) }),
    });
    peer.send('in');
    assert.equal(await peer.text(), 'in');
    const upstreamEnd = (await echo.session()).closed;
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Token expired' });
    assert.ok(Date.now() - started >= 1900, 'not before its time');
    assert.ok(Date.now() - started < 8000, 'soon after exp and skew');
    assert.equal((await upstreamEnd).code, 1001);
  });

  it('counts and logs an acceptance only once the token is verified', async () => {
    const [early] = await refusals(`${issuer.sign({ ...valid, sub: 'mallory' }).slice(0, -8)}AAAAAAAA`);
    assert.deepEqual(early, INVALID);
    const metrics = await gateway.metrics();
    assert.equal(metrics.sum('ws_auth_success_total', { sub: 'mallory' }), 0);
    assert.ok(
      !gateway.logs.some((line) => line.sub === 'mallory'),
      'an unverified subject is never logged as one',
    );
  });
});

describe('authentication without keys', () => {
  it('is unavailable, not denied, until the issuer answers', async () => {
    const issuer = await startIssuer();
    issuer.mode = '500';
    const echo = await startEcho();
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [{ prefix: '/echo', upstream: echo.url }],
      waitFor: 'alive',
    });
    try {
      const ready = await http(`${gateway.http}/readyz`);
      assert.equal(ready.status, 503);
      assert.match(ready.body, /key/i);
      const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign() });
      assert.deepEqual(await peer.ended(), { code: 1013, reason: 'Authentication unavailable' });
      assert.equal(echo.sessions.length, 0);
      issuer.mode = 'ok';
      await eventually(async () => (await http(`${gateway.http}/readyz`)).status === 200, 30_000);
      const later = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign() });
      later.send('in');
      assert.equal(await later.text(), 'in');
      await later.close();
      await assertQuiet(gateway, { upstreams: [echo] });
    } finally {
      await gateway.stop();
      await Promise.all([echo.close(), issuer.close()]);
    }
  });
});
