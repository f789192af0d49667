import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { generate } from 'mqtt-packet';
import { isClosedUnanswered, Peer, type PeerOptions, Refused } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { connectPacket } from '../../support/protocols/mqtt-packets.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

describe('limits on connections and messages', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
  });
  afterEach(async () => {
    echo.reset();
    await assertQuiet(gateway, { upstreams: [echo] });
    await gateway.stop();
  });
  after(async () => {
    await echo.close();
    await issuer.close();
  });

  async function start(env: Readonly<Record<string, string>>): Promise<void> {
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, ...env },
      routes: [
        { prefix: '/strict', upstream: echo.url, rateLimit: { perSecond: 1, burst: 2 } },
        { prefix: '/public', upstream: echo.url, auth: 'public' },
        { prefix: '/', upstream: echo.url },
      ],
    });
  }
  const open = (options: PeerOptions, path = '/echo'): Promise<Peer> => Peer.open(gateway.ws + path, options);
  const refusedWith =
    (status: number) =>
    (error: unknown): boolean =>
      error instanceof Refused && error.status === status;

  /** `uws` counts sessions, not sockets: what is over gets an answer. */
  const turnedAway = async (status: number) =>
    (await gateway.listener()) === 'uws' ? refusedWith(status) : isClosedUnanswered;

  it('MAX_CONNECTIONS: one more is closed until a place is free', async () => {
    await start({ MAX_CONNECTIONS: '2' });
    await eventually(async () => (await open({ token: issuer.sign() })).close().then(() => true));
    const first = await eventually(() => open({ token: issuer.sign() }));
    const second = await open({ token: issuer.sign() });
    const isTurnedAway = await turnedAway(503);
    await assert.rejects(open({ token: issuer.sign() }), isTurnedAway);
    await first.close();
    const third = await eventually(() => open({ token: issuer.sign() }));
    await Promise.all([second.close(), third.close()]);
  });

  it('MAX_CONNECTIONS_PER_IP: 429 to that address, by the word of a trusted proxy', async () => {
    await start({ MAX_CONNECTIONS_PER_IP: '2' });
    const from = (forwardedFor: string): Promise<Peer> =>
      open({ token: issuer.sign(), headers: { 'x-forwarded-for': forwardedFor } });
    const peers = [await from('203.0.113.7'), await from('203.0.113.7')];
    await assert.rejects(from('203.0.113.7'), refusedWith(429));
    // The rightmost address that is no trusted proxy counts: a client cannot put another one before it.
    await assert.rejects(from('198.51.100.1, 203.0.113.7'), refusedWith(429));
    await assert.rejects(from('203.0.113.7, 127.0.0.1'), refusedWith(429));
    peers.push(await from('203.0.113.8'), await from('2001:db8::1'));
    await Promise.all(peers.map((peer) => peer.close()));
  });

  it('MAX_CONNECTIONS_PER_IP: an untrusted peer is counted by its own address', async () => {
    await start({ MAX_CONNECTIONS_PER_IP: '1', TRUSTED_PROXIES: '10.0.0.0/8' });
    const first = await eventually(() =>
      open({ token: issuer.sign(), headers: { 'x-forwarded-for': '203.0.113.7' } }),
    );
    const isTurnedAway = await turnedAway(429);
    await assert.rejects(
      open({ token: issuer.sign(), headers: { 'x-forwarded-for': '203.0.113.8' } }),
      isTurnedAway,
    );
    await first.close();
  });

  it('too many failed logins of one address: 429; other addresses are served', async () => {
    await start({});
    const tries = async (times: number, headers: Readonly<Record<string, string>>): Promise<void> => {
      for (let index = 0; index < times; index++)
        assert.equal((await (await open({ token: 'a.b.c', headers })).ended()).code, 1008, String(index));
    };
    const bad = { 'x-forwarded-for': '203.0.113.7' };
    await tries(20, bad);
    await assert.rejects(open({ token: issuer.sign(), headers: bad }), refusedWith(429));
    await tries(20, {});
    await assert.rejects(open({ token: issuer.sign() }), refusedWith(429));
    const other = await open({ token: issuer.sign(), headers: { 'x-forwarded-for': '203.0.113.8' } });
    await other.close();
  });

  it('on a public route a token is verified wherever one is sent, and an unrelated cookie is none', async () => {
    await start({});
    const malformed = { code: 1008, reason: 'Malformed JWT' };
    assert.deepEqual(await (await open({ token: 'opaque' }, '/public')).ended(), malformed);
    assert.deepEqual(await (await open({}, '/public?token=opaque')).ended(), malformed);
    const peer = await open({ headers: { cookie: 'session=opaque' } }, '/public');
    peer.send('x');
    assert.equal(await peer.text(), 'x');
    await peer.close();
  });

  it('MAX_CONNECTIONS_PER_SUB: 1008 to that subject, others are served', async () => {
    await start({ MAX_CONNECTIONS_PER_SUB: '1' });
    const first = await open({ token: issuer.sign({ sub: 'ann' }) });
    const second = await open({ token: issuer.sign({ sub: 'ann' }) });
    assert.deepEqual(await second.ended(), { code: 1008, reason: 'Too many connections' });
    const other = await open({ token: issuer.sign({ sub: 'bob' }) });
    other.send('x');
    assert.equal(await other.text(), 'x');
    await Promise.all([first.close(), other.close()]);
    await eventually(() => echo.openSockets() === 0);
    const again = await open({ token: issuer.sign({ sub: 'ann' }) });
    again.send('y');
    assert.equal(await again.text(), 'y');
    await again.close();
  });

  it('a burst passes whole; the message beyond it is not forwarded and closes 1008', async () => {
    await start({ RATE_LIMIT_PER_SECOND: '0.01', RATE_LIMIT_BURST: '5' });
    const peer = await open({ token: issuer.sign({ sub: 'noisy' }) });
    for (let index = 0; index < 5; index++) peer.send(String(index));
    for (let index = 0; index < 5; index++) assert.equal(await peer.text(), String(index));
    peer.send('one too many');
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Rate limit exceeded' });
    assert.deepEqual(
      (await echo.session()).inbox.map((message) => message.data.toString()),
      ['0', '1', '2', '3', '4'],
    );
    const metrics = await gateway.metrics();
    assert.equal(metrics.sum('ws_rate_limit_violations_total'), 1);
    assert.equal(metrics.sum('ws_session_closed_total', { reason: 'rate_limited' }), 1);
  });

  it('one bucket serves all sessions of a subject and none of another', async () => {
    await start({ RATE_LIMIT_PER_SECOND: '0.01', RATE_LIMIT_BURST: '4' });
    const one = await open({ token: issuer.sign({ sub: 'noisy' }) });
    const two = await open({ token: issuer.sign({ sub: 'noisy' }) });
    const quiet = await open({ token: issuer.sign({ sub: 'quiet' }) });
    for (const peer of [one, two, one, two]) {
      peer.send('x');
      await peer.next();
    }
    two.send('one too many');
    assert.deepEqual(await two.ended(), { code: 1008, reason: 'Rate limit exceeded' });
    quiet.send('fine');
    assert.equal(await quiet.text(), 'fine');
    await Promise.all([one.close(), quiet.close()]);
  });

  it('the token message is free, messages sent before the upstream is open are not', async () => {
    await start({ RATE_LIMIT_PER_SECOND: '0.01', RATE_LIMIT_BURST: '3' });
    const peer = await open({});
    peer.send(issuer.sign({ sub: 'early' }));
    for (const text of ['a', 'b', 'c']) peer.send(text);
    for (const text of ['a', 'b', 'c']) assert.equal(await peer.text(), text);
    peer.send('d');
    assert.equal((await peer.ended()).reason, 'Rate limit exceeded');
  });

  it("a route's own limit counts in buckets of its own", async () => {
    await start({ RATE_LIMIT_PER_SECOND: '0.01', RATE_LIMIT_BURST: '4' });
    const token = issuer.sign({ sub: 'both' });
    const strict = await open({ token }, '/strict');
    const wide = await open({ token });
    for (const peer of [strict, strict, wide, wide, wide, wide]) {
      peer.send('x');
      await peer.next();
    }
    wide.send('one too many');
    assert.equal((await wide.ended()).reason, 'Rate limit exceeded');
    await strict.close();
  });

  it('public routes are limited by address', async () => {
    await start({ RATE_LIMIT_PER_SECOND: '0.01', RATE_LIMIT_BURST: '2' });
    const noisy = await open({ headers: { 'x-forwarded-for': '203.0.113.7' } }, '/public');
    const same = await open({ headers: { 'x-forwarded-for': '203.0.113.7' } }, '/public');
    const other = await open({ headers: { 'x-forwarded-for': '203.0.113.8' } }, '/public');
    for (const peer of [noisy, same]) {
      peer.send('x');
      await peer.next();
    }
    noisy.send('one too many');
    assert.equal((await noisy.ended()).reason, 'Rate limit exceeded');
    other.send('fine');
    assert.equal(await other.text(), 'fine');
    await Promise.all([same.close(), other.close()]);
  });

  it('RATE_LIMIT_BYTES_PER_SECOND limits payload bytes', async () => {
    await start({ RATE_LIMIT_BYTES_PER_SECOND: '10000' });
    const peer = await open({ token: issuer.sign() });
    peer.send(Buffer.alloc(1000));
    await peer.next();
    for (let index = 0; index < 200; index++) peer.send(Buffer.alloc(10_000));
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Rate limit exceeded' });
  });

  it('RATE_LIMIT_BYTES_PER_SECOND counts what comes in one frame behind CONNECT', async () => {
    await start({ RATE_LIMIT_BYTES_PER_SECOND: '10000' });
    const peer = await open({ protocols: ['mqtt'] });
    const connect = connectPacket({ username: 'u', password: Buffer.from(issuer.sign()) });
    const pings = Buffer.alloc(20_000, generate({ cmd: 'pingreq' }));
    peer.send(Buffer.concat([connect, pings]));
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Rate limit exceeded' });
  });
});
