import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { exchange, handshakeHead } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually, within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startPostgres } from '../../support/servers/postgres-server.js';
import { startRedis } from '../../support/servers/redis-server.js';
import { startRawUpstream } from '../../support/upstreams/raw-upstream.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const SHUTDOWN = { code: 1001, reason: 'Server shutting down' };

describe('shutdown', () => {
  let issuer: Issuer;
  let echo: Upstream;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
  });
  after(async () => {
    await Promise.all([echo.close(), issuer.close()]);
  });

  function start(drainSeconds: number, hardSeconds: number): Promise<Gateway> {
    echo.reset();
    return startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        GRACEFUL_DRAIN_TIMEOUT_SECONDS: String(drainSeconds),
        SHUTDOWN_HARD_LIMIT: String(hardSeconds),
      },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
  }
  const open = (gateway: Gateway): Promise<Peer> => Peer.open(`${gateway.ws}/echo`, { token: issuer.sign() });
  const draining = (gateway: Gateway): Promise<true> =>
    eventually(async () => (await http(`${gateway.http}/readyz`)).status === 503).then(() => true);

  it('spreads the closes over the drain time, serves until then, and exits 0', async () => {
    const gateway = await start(4, 2);
    const peers = await Promise.all(Array.from({ length: 50 }, () => open(gateway)));
    const started = Date.now();
    const endings = peers.map((peer) =>
      peer.closed.then((closing) => ({ closing, at: Date.now() - started })),
    );
    gateway.child.kill('SIGTERM');
    await draining(gateway);
    assert.match((await http(`${gateway.http}/readyz`)).body, /drain/i);
    assert.equal((await http(`${gateway.http}/healthz`)).status, 200);
    const { client, answer } = await exchange(gateway.port, handshakeHead(gateway.port, '/echo'));
    client.destroy();
    assert.equal(answer?.status, 503);
    assert.equal(answer?.headers.connection?.toLowerCase(), 'close');
    // Whoever is not closed yet is served as before.
    const lively = peers.filter((peer) => peer.socket.readyState === peer.socket.OPEN);
    assert.ok(lively.length > 0);
    const ends = await within(Promise.all(endings), 'end of all sessions', 20_000);
    for (const { closing } of ends) assert.deepEqual(closing, SHUTDOWN);
    const times = ends.map(({ at }) => at).sort((a, b) => a - b);
    assert.ok(times.at(-1)! - times[0]! > 1500, `from ${times[0]} to ${times.at(-1)} ms`);
    const half = times.filter((at) => at < 2000).length;
    assert.ok(half > 5 && half < 45, `${half} of 50 in the first half`);
    for (const session of echo.sessions) assert.deepEqual(await session.ended(), SHUTDOWN);
    assert.deepEqual(await within(gateway.child.exited, 'exit'), { code: 0, signal: null });
    await gateway.stop();
  });

  it('waits for no session longer than there is one', async () => {
    const gateway = await start(60, 2);
    const peer = await open(gateway);
    const started = Date.now();
    gateway.child.kill('SIGINT');
    await draining(gateway);
    peer.send('still served');
    const got = await Promise.race([peer.text(), peer.closed]);
    if (typeof got === 'string') await peer.close();
    assert.deepEqual(await within(gateway.child.exited, 'exit'), { code: 0, signal: null });
    assert.ok(Date.now() - started < 20_000);
    await gateway.stop();
  });

  it('without sessions is at once', async () => {
    const gateway = await start(60, 2);
    const started = Date.now();
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
    assert.ok(Date.now() - started < 10_000);
  });

  it('ends at once, with exit code 1, on a second signal', async () => {
    const gateway = await start(60, 60);
    const head = handshakeHead(gateway.port, '/echo', [`Authorization: Bearer ${issuer.sign()}`]);
    const stubborn = await Promise.all(Array.from({ length: 5 }, () => exchange(gateway.port, head)));
    gateway.child.kill('SIGTERM');
    await draining(gateway);
    const second = Date.now();
    gateway.child.kill('SIGTERM');
    assert.deepEqual(await within(gateway.child.exited, 'exit'), { code: 1, signal: null });
    assert.ok(Date.now() - second < 5000);
    for (const { client } of stubborn) client.destroy();
    await gateway.stop();
  });

  it('drops clients that never answer a close frame', async () => {
    const gateway = await start(1, 2);
    const head = handshakeHead(gateway.port, '/echo', [`Authorization: Bearer ${issuer.sign()}`]);
    const stubborn = await Promise.all(Array.from({ length: 5 }, () => exchange(gateway.port, head)));
    // One of them takes nothing either.
    stubborn[0]?.client.socket.pause();
    const sessions = [...echo.sessions];
    const started = Date.now();
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
    assert.ok(Date.now() - started < 10_000);
    for (const session of sessions) assert.deepEqual(await session.ended(), SHUTDOWN);
    for (const { client } of stubborn) client.destroy();
  });

  it('comes when it is asked for, and not before, while the disk under standard output is full', async () => {
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [{ prefix: '/echo', upstream: echo.url }],
      output: '/dev/full',
    });
    // A page of the log, and what is said at once.
    for (let at = 0; at < 200; at++) await http(`${gateway.http}/nowhere`);
    assert.equal((await http(`${gateway.http}/healthz`)).status, 200);
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
    assert.equal(gateway.child.stderr, '');
  });

  it('is not held up by stores that hang', async () => {
    const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
    const gateway = await startGateway({
      env: {
        ...{ JWKS_URL: issuer.jwksUrl, JWT_CACHE_STORE: 'redis', ACTIVITY_STORE: 'postgres' },
        ...{ REDIS_URL: redis.url, POSTGRES_DSN: postgres.dsn, RATE_LIMIT_PER_SECOND: '10' },
      },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
    const peer = await open(gateway);
    const ended = peer.ended();
    redis.hang();
    postgres.hang();
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
    assert.deepEqual(await ended, SHUTDOWN);
    redis.resume();
    postgres.resume();
    await Promise.all([redis.stop(), postgres.stop()]);
  });

  it('is not held up by issuers and upstreams that hang', async () => {
    const hanging = await startIssuer();
    hanging.mode = 'hang';
    const gateway = await startGateway({
      env: { JWKS_URL: hanging.jwksUrl },
      routes: [{ prefix: '/echo', upstream: echo.url }],
      waitFor: 'alive',
    });
    const peer = await Peer.open(`${gateway.ws}/echo`);
    peer.send(hanging.sign());
    const started = Date.now();
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
    assert.ok(Date.now() - started < 10_000);
    await peer.ended();
    await hanging.close();
  });

  it('is not held up by a request head, a dial or a trial of a circuit that is half-open', async () => {
    const [hanging, sick] = await Promise.all([
      startRawUpstream(() => {}),
      startRawUpstream((socket) => socket.destroy()),
    ]);
    const gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        GRACEFUL_DRAIN_TIMEOUT_SECONDS: '1',
        WS_DIAL_TIMEOUT_SECONDS: '60',
        WS_DIAL_RETRY_MAX: '1',
        CB_FAILURE_THRESHOLD: '1',
        CB_OPEN_TIMEOUT_SECONDS: '1',
      },
      routes: [
        { prefix: '/hanging', upstream: hanging.url },
        { prefix: '/sick', upstream: sick.url },
      ],
    });
    /** A client that is connected before its token is known, so that a hanging dial does not hold it up. */
    const come = async (path: string): Promise<Peer> => {
      const peer = await Peer.open(gateway.ws + path);
      peer.send(issuer.sign());
      return peer;
    };
    const head = connect(gateway.port, '127.0.0.1');
    const headEnded = new Promise((resolve) => head.once('close', resolve).on('error', () => {}));
    head.resume().write('GET /hanging HTTP/1.1\r\nHost: gateway\r\n');
    const dialled = await come('/hanging');
    await eventually(() => hanging.heads.length === 1);
    assert.equal((await (await come('/sick')).ended()).code, 1014);
    sick.script = () => {};
    const trial = await eventually(async () => {
      const peer = await come('/sick');
      return (await Promise.race([peer.closed, eventually(() => sick.heads.length === 2)])) === true && peer;
    }, 20_000);
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
    assert.deepEqual(await dialled.ended(), SHUTDOWN);
    assert.deepEqual(await trial.ended(), SHUTDOWN);
    await within(headEnded, 'end of the connection with half a head');
    await eventually(() => hanging.openSockets() + sick.openSockets() === 0);
    await Promise.all([hanging.close(), sick.close()]);
  });
});
