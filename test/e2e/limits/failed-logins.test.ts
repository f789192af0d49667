import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Peer, Refused } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { connectPacket } from '../../support/protocols/mqtt-packets.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

/** Failures an address may have at once; one more is forgiven every three seconds. */
const ALLOWED = 20;
const DENIED = { code: 1008, reason: 'JWT invalid or expired' };
const GUESSER = '203.0.113.7';

describe('failed logins of one address', () => {
  let issuer: Issuer;
  /** Its tokens look right and are signed by nobody we know. */
  let stranger: Issuer;
  let echo: Upstream;
  let gateway: Gateway;

  before(async () => {
    [issuer, stranger, echo] = await Promise.all([startIssuer(), startIssuer(), startEcho()]);
  });
  afterEach(async () => {
    issuer.mode = 'ok';
    echo.reset();
    await assertQuiet(gateway, { upstreams: [echo] });
    await gateway.stop();
  });
  after(async () => {
    await Promise.all([issuer.close(), stranger.close(), echo.close()]);
  });

  async function start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, ...env },
      routes: [{ prefix: '/', upstream: echo.url }],
      waitFor: 'alive',
    });
  }
  const open = (token: string | undefined, from: string): Promise<Peer> =>
    Peer.open(`${gateway.ws}/app`, {
      headers: { 'x-forwarded-for': from },
      ...(token === undefined ? {} : { token }),
    });
  async function fail(from: string): Promise<void> {
    assert.deepEqual(await (await open(stranger.sign(), from)).ended(), DENIED);
  }
  async function failOften(from: string, times = ALLOWED): Promise<void> {
    for (let index = 0; index < times; index++) await fail(from);
  }
  async function serve(from: string): Promise<void> {
    const peer = await open(issuer.sign(), from);
    peer.send('let in');
    assert.equal(await peer.text(), 'let in');
    await peer.close();
  }
  const isLockedOut = (token: string | undefined, from: string): Promise<void> =>
    assert.rejects(open(token, from), (error) => error instanceof Refused && error.status === 429);

  it('one more than twenty in a minute: 429 before any cryptography, session or dial, even for a good token', async () => {
    await start();
    await serve('203.0.113.1');
    await failOften(GUESSER);
    const effort = async (): Promise<readonly number[]> => {
      const metrics = await gateway.metrics();
      const names = ['ws_auth_seconds_count', 'ws_auth_failures_total', 'ws_session_closed_total'];
      return [...names.map((name) => metrics.sum(name)), issuer.hits, echo.sessions.length];
    };
    const spent = await effort();
    await isLockedOut(stranger.sign(), GUESSER);
    await isLockedOut(undefined, GUESSER);
    await isLockedOut(issuer.sign(), GUESSER);
    // Whoever stands before the proxy cannot say where it comes from.
    await isLockedOut(stranger.sign(), `198.51.100.9, ${GUESSER}`);
    assert.deepEqual(await effort(), spent);
    await serve('203.0.113.8');
    await serve('2001:db8::7');
  });

  it('tokens in first messages and CONNECTs count like those in headers', async () => {
    await start();
    for (let index = 0; index < ALLOWED; index++) {
      const peer = await open(undefined, GUESSER);
      peer.send(stranger.sign());
      assert.deepEqual(await peer.ended(), DENIED);
    }
    await isLockedOut(undefined, GUESSER);
  });

  it('a token that comes behind the handshake is not looked at once its address has failed too often', async () => {
    await start();
    const late = await Promise.all(Array.from({ length: 3 }, () => open(undefined, GUESSER)));
    const mqtt = await Peer.open(`${gateway.ws}/app`, {
      headers: { 'x-forwarded-for': GUESSER },
      protocols: ['mqtt'],
    });
    await failOften(GUESSER);
    const verified = async () => (await gateway.metrics()).sum('ws_auth_seconds_count');
    const before = await verified();
    for (const [index, peer] of late.entries()) {
      peer.send((index === 0 ? issuer : stranger).sign());
      assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Too many failed logins' });
    }
    mqtt.send(connectPacket({ username: 'u', password: Buffer.from(stranger.sign()) }));
    assert.deepEqual((await mqtt.next()).data, Buffer.of(0x20, 2, 0, 3));
    assert.deepEqual(await mqtt.ended(), { code: 1008, reason: 'Too many failed logins' });
    assert.equal(await verified(), before);
  });

  it('an address with a good login a while ago is not locked out by what others there do', async () => {
    await start();
    await serve(GUESSER);
    await failOften(GUESSER, 3 * ALLOWED);
    await serve(GUESSER);
    await failOften(GUESSER, ALLOWED);
    await serve(GUESSER);
  });

  it('a locked-out address is let in again as its failures age; a good login then frees it', async () => {
    await start();
    await failOften(GUESSER);
    await isLockedOut(issuer.sign(), GUESSER);
    await eventually(() => serve(GUESSER), 30_000);
    await failOften(GUESSER, 2);
    await serve(GUESSER);
  });

  it('what is no failed login does not count: no token, an unavailable issuer, a lost client', async () => {
    issuer.mode = '500';
    await start({ AUTH_TIMEOUT_SECONDS: '1' });
    for (let index = 0; index < 2 * ALLOWED; index++) {
      const peer = await open(issuer.sign(), GUESSER);
      assert.equal((await peer.ended()).reason, 'Authentication unavailable');
    }
    const silent = await Promise.all(Array.from({ length: 2 * ALLOWED }, () => open(undefined, GUESSER)));
    for (const peer of silent.splice(0, ALLOWED)) peer.socket.terminate();
    for (const peer of silent) assert.equal((await peer.ended()).reason, 'Authentication timeout');
    issuer.mode = 'ok';
    await eventually(() => serve(GUESSER), 30_000);
  });

  it('an untrusted peer is known by its own address, whatever it writes into X-Forwarded-For', async () => {
    await start({ TRUSTED_PROXIES: '10.0.0.0/8' });
    for (let index = 0; index < ALLOWED; index++) await fail(`198.51.100.${index}`);
    await isLockedOut(stranger.sign(), '198.51.100.200');
  });
});
