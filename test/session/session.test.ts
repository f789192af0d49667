import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectBody, packet } from '../protocol/connect-packet.js';
import { eventually } from '../support/eventually.js';
import { startRawUpstream, switching } from '../support/upstreams/raw-upstream.js';
import { startEcho } from '../support/upstreams/upstream.js';
import { bench, ended, open, withUpstream } from './parts.js';

test('a token in the handshake is verified and the upstream dialled before the 101, which carries its sub-protocol', async (t) => {
  const route = { upstreams: [], copySubProtocol: true };
  const parts = await withUpstream(t, { route }, { echo: true, choose: (offered) => offered[1] });
  const client = parts.connect({ token: parts.issuer.sign(), subprotocols: ['a', 'b'] });
  assert.ok(!client.answered);
  await eventually(() => client.answered !== undefined);
  assert.deepEqual(client.answered, { subprotocol: 'b' });
  assert.equal(parts.upstream.sessions.length, 1);
  client.say('text');
  client.say(Buffer.from([0, 255]));
  client.say('');
  await eventually(() => client.received.length === 3);
  assert.deepEqual(
    client.received.map(({ text, isBinary }) => [text, isBinary]),
    [
      ['text', false],
      ['\0\xff', true],
      ['', false],
    ],
  );
  client.leave(4001, 'done');
  assert.deepEqual(await (await parts.upstream.session()).ended(), { code: 4001, reason: 'done' });
  await parts.quiet();
  const metrics = await parts.scrape();
  assert.equal(metrics.sum('ws_session_closed_total', { reason: 'client_closed' }), 1);
  assert.equal(metrics.sum('ws_messages_total', { direction: 'client_to_upstream' }), 3);
  assert.equal(metrics.sum('ws_bytes_total', { direction: 'upstream_to_client' }), 6);
  assert.equal(metrics.sum('ws_connection_duration_seconds_count'), 1);
});

test('a token in the first message is consumed, and what comes meanwhile arrives after it, in order', async (t) => {
  const parts = await withUpstream(t);
  const client = parts.connect();
  assert.deepEqual(client.answered, { subprotocol: undefined });
  client.say(parts.issuer.sign());
  for (let i = 0; i < 5; i++) client.say(`${i}`, i % 2 === 0);
  await eventually(() => client.received.length === 5);
  assert.deepEqual(client.texts, ['0', '1', '2', '3', '4']);
  assert.deepEqual(
    client.received.map(({ isBinary }) => isBinary),
    [true, false, true, false, true],
  );
});

test('a handshake with a bad token is answered 101 and closed, without a dial', async (t) => {
  const parts = await withUpstream(t);
  const client = parts.connect({
    token: parts.issuer.sign({}, { expiresInSeconds: -60 }),
    subprotocols: ['x', 'y'],
  });
  assert.deepEqual(await ended(client), { code: 1008, reason: 'JWT invalid or expired' });
  assert.deepEqual(client.answered, { subprotocol: 'x' });
  await parts.quiet();
  assert.equal(parts.upstream.sessions.length, 0);
  const metrics = await parts.scrape();
  assert.equal(metrics.sum('ws_auth_failures_total'), 1);
  assert.equal(parts.log.lines.filter((line) => line.includes('client denied')).length, 1);
  assert.ok(!parts.log.lines.some((line) => line.includes('client accepted')));
});

test('a client that leaves while it is verified causes no dial', async (t) => {
  const parts = await withUpstream(t);
  const client = parts.connect({ token: parts.issuer.sign() });
  assert.equal(client.session?.state, 'authenticating');
  client.leave(1006);
  await parts.quiet();
  await open(parts);
  assert.equal(parts.upstream.sessions.length, 1, 'only the later one');
});

test('a client that leaves while its upstream is dialled takes the dial along', async (t) => {
  const silent = await startRawUpstream(() => {});
  t.after(() => silent.close());
  const parts = await bench(t, { routes: [{ upstreams: [silent.url] }] });
  const client = parts.connect({ token: parts.issuer.sign() });
  await eventually(() => silent.heads.length === 1);
  client.leave(1006);
  await eventually(() => silent.openSockets() === 0);
  await parts.quiet();
  assert.equal((await parts.scrape()).sum('ws_session_closed_total'), 1);
});

test('a token revoked between verification and registration, while dialling or when open, ends its session', async (t) => {
  const silent = await startRawUpstream(() => {});
  const echo = await startEcho();
  t.after(() => Promise.all([silent.close(), echo.close()]));
  const parts = await bench(t, {
    routes: [{ prefix: '/silent', upstreams: [silent.url] }, { upstreams: [echo.url] }],
  });
  const token = (jti: string) => parts.issuer.sign({ sub: 'ann', jti });
  const verifying = parts.connect({ token: token('1') });
  const dialling = parts.connect({ token: token('2'), path: '/silent' });
  const live = parts.connect({ token: token('3') });
  await parts.revocations.revoke({ sub: 'ann', jti: '1' });
  await eventually(() => silent.heads.length === 1 && live.session?.state === 'open');
  await parts.revocations.revoke({ sub: 'ann', jti: '2' });
  await parts.revocations.revoke({ sub: 'ann', jti: '3' });
  for (const client of [verifying, dialling, live])
    assert.deepEqual(await ended(client), { code: 1008, reason: 'Token revoked' });
  assert.equal(echo.sessions.length, 1);
  assert.equal((await echo.sessions[0]?.ended())?.code, 1001);
  await parts.quiet();
});

test('a subject banned between verification and registration, while dialling or when open, is out', async (t) => {
  const silent = await startRawUpstream(() => {});
  const echo = await startEcho();
  t.after(() => Promise.all([silent.close(), echo.close()]));
  const parts = await bench(t, {
    routes: [{ prefix: '/silent', upstreams: [silent.url] }, { upstreams: [echo.url] }],
  });
  const token = (sub: string) => parts.issuer.sign({ sub });
  const verifying = parts.connect({ token: token('ann') });
  const dialling = parts.connect({ token: token('bob'), path: '/silent' });
  const live = parts.connect({ token: token('cid') });
  const for60s = Date.now() + 60_000;
  await parts.bans.ban('ann', undefined, for60s);
  await eventually(() => silent.heads.length === 1 && live.session?.state === 'open');
  await parts.bans.ban('bob', undefined, for60s);
  await parts.bans.ban('cid', undefined, for60s);
  for (const client of [verifying, dialling, live, parts.connect({ token: token('cid') })])
    assert.deepEqual(await ended(client), { code: 1008, reason: 'Banned' });
  assert.equal(echo.sessions.length, 1);
  assert.equal((await echo.sessions[0]?.ended())?.code, 1001);
  await parts.bans.lift('cid');
  (await open(parts, token('cid'))).leave(1000);
  await parts.quiet();
});

test('a subject has no more sessions than allowed, and one more when one ends', async (t) => {
  const parts = await withUpstream(t, { limits: { maxConnectionsPerSub: 1 } });
  const first = await open(parts);
  const second = parts.connect({ token: parts.issuer.sign() });
  assert.deepEqual(await ended(second), { code: 1008, reason: 'Too many connections' });
  first.leave(1000);
  await parts.quiet();
  await open(parts);
});

test('silence before the token ends at the authentication timeout', async (t) => {
  const parts = await withUpstream(t);
  const client = parts.connect();
  parts.pass(9000);
  assert.equal(client.told, undefined);
  parts.pass(1500);
  assert.deepEqual(client.told, { code: 1008, reason: 'Authentication timeout' });
  await parts.quiet();
});

test('a session ends with its token', async (t) => {
  const parts = await withUpstream(t, { clockSkewMs: 0 });
  const client = await open(parts, parts.issuer.sign({}, { expiresInSeconds: 2 }));
  await eventually(() => {
    parts.wheel.advance(performance.now());
    return client.told !== undefined;
  });
  assert.deepEqual(client.told, { code: 1008, reason: 'Token expired' });
  assert.equal((await (await parts.upstream.session()).ended()).code, 1001);
});

test('a session is closed once, whatever else happens to it', async (t) => {
  const parts = await withUpstream(t);
  const client = await open(parts);
  client.stubborn = true;
  client.session?.close('closedByAdmin');
  client.session?.close('shutdown');
  client.say('late');
  client.session?.onClientAlive();
  client.session?.onClientDrain();
  await (await parts.upstream.session()).ended();
  client.leave(1006);
  client.leave(1000);
  client.session?.close('internalError');
  client.session?.terminate();
  await parts.quiet();
  assert.deepEqual(client.told, { code: 1008, reason: 'Closed by administrator' });
  const metrics = await parts.scrape();
  assert.equal(metrics.sum('ws_session_closed_total'), 1);
  assert.equal(metrics.sum('ws_session_closed_total', { reason: 'closed_by_admin' }), 1);
});

test('silence of the client is asked about by a ping, then ended', async (t) => {
  const parts = await withUpstream(t);
  const client = await open(parts);
  const keepUpstream = () => {
    const { pump } = client.session ?? {};
    if (pump !== undefined) pump.upstream.heard = true;
  };
  await parts.settleAndPass(0);
  await parts.settleAndPass(31_000);
  assert.equal(client.pings, 1);
  client.session?.onClientAlive();
  keepUpstream();
  await parts.settleAndPass(31_000);
  assert.equal(client.session?.state, 'open');
  for (let i = 0; i < 8 && client.told === undefined; i++) {
    keepUpstream();
    await parts.settleAndPass(10_000);
  }
  assert.deepEqual(client.told, { code: 1001, reason: 'Idle timeout' });
});

test('silence of the upstream ends the session with 1014', async (t) => {
  const silent = await startRawUpstream((socket, head) => socket.pause().write(switching(head)));
  t.after(() => silent.close());
  const parts = await bench(t, { routes: [{ upstreams: [silent.url] }] });
  const client = await open(parts);
  for (let i = 0; i < 12 && client.told === undefined; i++) {
    client.session?.onClientAlive();
    await parts.settleAndPass(10_000);
  }
  assert.deepEqual(client.told, { code: 1014, reason: 'Upstream connection lost' });
});

test('limits on messages hold before and after the session is open', async (t) => {
  const config = { maxConnectBytes: 2000, maxMessageBytes: 3000, maxBufferedBytes: 100_000 };
  const silent = await startRawUpstream(() => {});
  t.after(() => silent.close());
  const parts = await bench(t, { config, routes: [{ upstreams: [silent.url] }] });
  const greedy = parts.connect({ token: parts.issuer.sign() });
  greedy.say(Buffer.alloc(2001));
  assert.deepEqual(await ended(greedy), { code: 1009, reason: 'Message too big' });
  const large = parts.connect({ token: parts.issuer.sign() });
  await eventually(() => large.session?.state === 'dialing');
  large.say(Buffer.alloc(3001));
  assert.deepEqual(await ended(large), { code: 1009, reason: 'Message too big' });
  const many = parts.connect({ token: parts.issuer.sign() });
  await eventually(() => many.session?.state === 'dialing');
  for (let i = 0; i < 40; i++) many.say(Buffer.alloc(3000));
  assert.deepEqual(await ended(many), { code: 1009, reason: 'Too much sent before the upstream was open' });
});

test('early messages count for the rate limit, the token message does not', async (t) => {
  const parts = await withUpstream(t, { burst: 3 });
  const client = parts.connect();
  client.say(parts.issuer.sign());
  for (const text of ['1', '2', '3']) client.say(text);
  await eventually(() => client.received.length === 3);
  client.say('4');
  assert.deepEqual(await ended(client), { code: 1008, reason: 'Rate limit exceeded' });
  assert.deepEqual(client.texts, ['1', '2', '3']);
});

test('a role the route requires is asked for, and the upstream is not dialled without it', async (t) => {
  const parts = await withUpstream(t, { route: { upstreams: [], requireRoles: ['admin', 'ops'] } });
  const refused = parts.connect({ token: parts.issuer.sign({ roles: ['user', 'admin,ops'] }) });
  assert.deepEqual(await ended(refused), { code: 1008, reason: 'Forbidden' });
  assert.equal(parts.upstream.sessions.length, 0);
  await open(parts, parts.issuer.sign({ roles: ['ops'] }));
});

test('an upstream that is not there ends the handshake with 101 and 1014', async (t) => {
  const parts = await bench(t, { routes: [{ upstreams: ['ws://127.0.0.1:1'] }] });
  const client = parts.connect({ token: parts.issuer.sign() });
  assert.deepEqual(await ended(client), { code: 1014, reason: 'Upstream unavailable' });
  assert.deepEqual(client.answered, { subprotocol: undefined });
  await parts.quiet();
});

test('an MQTT client is answered in MQTT before it is refused, and its CONNECT passes unchanged when it is not', async (t) => {
  const parts = await withUpstream(t, {}, { echo: true, choose: (offered) => offered[0] });
  const connect = (password: string | undefined, level = 4) =>
    packet(connectBody({ level, userName: 'u', ...(password === undefined ? {} : { password }) }));
  for (const [level, connack] of [
    [4, '20020005'],
    [5, '2003008700'],
  ] as const) {
    const refused = parts.connect({ subprotocols: ['mqtt'] });
    assert.deepEqual(refused.answered, { subprotocol: 'mqtt' });
    refused.say(connect(parts.issuer.sign({}, { expiresInSeconds: -60 }), level));
    assert.deepEqual(await ended(refused), { code: 1008, reason: 'JWT invalid or expired' });
    assert.deepEqual(
      refused.texts.map((text) => Buffer.from(text, 'latin1').toString('hex')),
      [connack],
    );
  }
  const missing = parts.connect({ subprotocols: ['mqttv3.1'] });
  missing.say(connect(undefined));
  assert.deepEqual(await ended(missing), { code: 1008, reason: 'JWT missing' });
  assert.equal(parts.upstream.sessions.length, 0);
  const whole = Buffer.concat([connect(parts.issuer.sign()), Buffer.from('c000', 'hex')]);
  const client = parts.connect({ subprotocols: ['mqtt'] });
  for (const byte of whole.subarray(0, 50)) client.say(Buffer.of(byte));
  client.say(whole.subarray(50));
  client.say(Buffer.from('c000', 'hex'));
  await eventually(() => client.received.length === 2);
  assert.deepEqual(client.texts, [whole.toString('latin1'), '\xc0\x00']);
  client.say('text', false);
  assert.equal(client.told?.code, 1003);
});

test('an MQTT client whose token ends while its upstream is dialled is told so in MQTT, too', async (t) => {
  const hung = await startRawUpstream(() => {});
  t.after(() => hung.close());
  const parts = await bench(t, { clockSkewMs: 0, routes: [{ upstreams: [hung.url] }] });
  const client = parts.connect({ subprotocols: ['mqtt'] });
  const exp = Math.floor(Date.now() / 1000) + 2;
  client.say(packet(connectBody({ userName: 'u', password: parts.issuer.sign({ exp }) })));
  await eventually(() => {
    parts.pass(0);
    return client.told !== undefined;
  });
  assert.deepEqual(client.told, { code: 1008, reason: 'Token expired' });
  assert.deepEqual(
    client.texts.map((text) => Buffer.from(text, 'latin1').toString('hex')),
    ['20020005'],
  );
  await parts.quiet();
});

test('a fault inside ends that session with 1011 and is kept for the log', async (t) => {
  const parts = await withUpstream(t);
  const client = await open(parts);
  const other = await open(parts);
  client.session?.close('internalError', undefined, new Error('secret detail'));
  assert.deepEqual(client.told, { code: 1011, reason: 'Internal error' });
  assert.ok(parts.log.lines.some((line) => line.includes('secret detail')));
  other.say('in');
  await eventually(() => other.received.length === 1);
});

test('what a token says takes a bounded place in the log, and the token none', async (t) => {
  const parts = await withUpstream(t);
  const token = parts.issuer.sign({ sub: 'x'.repeat(8000) });
  const client = parts.connect({ token });
  await eventually(() => parts.log.lines.some((line) => line.includes('client accepted')));
  client.session?.close('closedByAdmin');
  for (const line of parts.log.lines) {
    assert.ok(line.length < 2000, `${line.length}`);
    for (const part of token.split('.')) assert.ok(!line.includes(part));
  }
});
