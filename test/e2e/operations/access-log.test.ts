import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { MqttPeer } from '../../support/clients/mqtt-client.js';
import { exchange, handshakeHead, RawClient } from '../../support/clients/raw-client.js';
import { Peer, type PeerOptions, Refused } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type AedesBroker, startAedes } from '../../support/servers/aedes.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RawUpstream, startRawUpstream } from '../../support/upstreams/raw-upstream.js';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

type Line = Readonly<Record<string, unknown>>;

const NO_TRAFFIC = { messagesToUpstream: 0, bytesToUpstream: 0, messagesToClient: 0, bytesToClient: 0 };

describe('the access log', () => {
  let issuer: Issuer;
  let upstream: Upstream;
  let broker: AedesBroker;
  let busy: RawUpstream;
  let gateway: Gateway;

  before(async () => {
    [issuer, upstream, broker] = await Promise.all([
      startIssuer(),
      startUpstream({ echo: true }),
      startAedes(),
    ]);
    busy = await startRawUpstream((socket) => socket.end('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'));
    gateway = await start();
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([upstream, broker, busy, issuer].map((server) => server.close()));
  });
  afterEach(async () => {
    if (gateway.child.alive) await assertQuiet(gateway, { upstreams: [upstream, busy], secrets: ['hidden'] });
    upstream.reset();
  });

  function start(env: Readonly<Record<string, string>> = {}): Promise<Gateway> {
    return startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        WS_DIAL_RETRY_MAX: '1',
        CB_FAILURE_THRESHOLD: '1000',
        MAX_MESSAGE_BYTES: '1000',
        ...env,
      },
      routes: [
        { prefix: '/echo', upstream: `${upstream.url}/in?key=hidden` },
        { prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' },
        { prefix: '/busy', upstream: busy.url },
        { prefix: '/public', upstream: upstream.url, auth: 'public' },
      ],
    });
  }

  /** A client that has had its token for ten minutes. */
  async function open(
    options: PeerOptions & { readonly path?: string } = {},
  ): Promise<{ readonly peer: Peer; readonly sub: string }> {
    const sub = `sub-${randomUUID()}`;
    const token = issuer.sign({ sub, iat: Math.floor(Date.now() / 1000) - 600 });
    const peer = await Peer.open(`${gateway.ws}${options.path ?? '/echo'}`, { token, ...options });
    return { peer, sub };
  }

  /** The lines about a subject, once its session has ended. */
  async function linesOf(
    sub: string,
  ): Promise<{ readonly accepted: Line | undefined; readonly closed: Line }> {
    return await eventually(() => {
      const lines = gateway.logs.filter((line) => line.sub === sub);
      const closed = lines.filter((line) => line.reason !== undefined);
      if (closed.length === 0) return false;
      assert.equal(closed.length, 1, 'one line for the end');
      return { accepted: lines.find(({ msg }) => msg === 'client accepted'), closed: closed[0] as Line };
    });
  }

  /** What ends a session, with one message there and back before it. */
  async function end(how: (peer: Peer) => unknown): Promise<Line> {
    const { peer, sub } = await open();
    peer.send('12345');
    await peer.next();
    await how(peer);
    const { closed } = await linesOf(sub);
    const { session, requestId, durationMs, tokenAgeSeconds, upstream: where, route, protocol, ip } = closed;
    assert.match(String(session), /^[\da-f-]{36}$/);
    assert.equal(requestId, undefined, 'nobody gave another name than the session\u2019s own');
    assert.ok(Number(durationMs) >= 0 && Number(durationMs) < 60_000);
    assert.ok(Math.abs(Number(tokenAgeSeconds) - 600) <= 30, `token age ${tokenAgeSeconds}`);
    assert.deepEqual([where, route, protocol, ip], [`${upstream.url}/in`, '/echo', 'raw', '127.0.0.1']);
    assert.equal(closed.level, 'info');
    assert.equal(closed.msg, 'session closed');
    return closed;
  }

  function counts({ messagesToUpstream, bytesToUpstream, messagesToClient, bytesToClient }: Line): Line {
    return { messagesToUpstream, bytesToUpstream, messagesToClient, bytesToClient };
  }

  it('says who came in', async () => {
    const { peer, sub } = await open({
      headers: { 'user-agent': `agent ${'x'.repeat(2000)}` },
    });
    await peer.close();
    const { accepted, closed } = await linesOf(sub);
    assert.equal(accepted?.session, closed.session);
    assert.equal(accepted?.requestId, undefined);
    assert.deepEqual(
      [accepted?.level, accepted?.ip, accepted?.route, accepted?.protocol],
      ['info', '127.0.0.1', '/echo', 'raw'],
    );
    assert.match(String(accepted?.userAgent), /^agent x+…$/);
    assert.equal(String(accepted?.userAgent).length, 257);
    assert.ok(Math.abs(Number(accepted?.tokenAgeSeconds) - 600) <= 30);
  });

  it('says that a client closed, what passed, and with which code', async () => {
    const closed = await end((peer) => peer.close(4001, 'hidden'));
    assert.deepEqual([closed.closedBy, closed.reason, closed.code], ['client', 'client_closed', 4001]);
    assert.deepEqual(counts(closed), {
      messagesToUpstream: 1,
      bytesToUpstream: 5,
      messagesToClient: 1,
      bytesToClient: 5,
    });
  });

  it('counts all of a long session, scraped meanwhile or not', async () => {
    const closed = await end(async (peer) => {
      for (const text of ['a', 'bc', '']) {
        await gateway.metrics();
        peer.send(text);
        await peer.next();
      }
      await peer.close();
    });
    assert.deepEqual(counts(closed), {
      messagesToUpstream: 4,
      bytesToUpstream: 8,
      messagesToClient: 4,
      bytesToClient: 8,
    });
  });

  it('says that a client vanished', async () => {
    const closed = await end((peer) => peer.socket.terminate());
    assert.deepEqual([closed.closedBy, closed.reason, closed.code], ['client', 'client_lost', undefined]);
  });

  it('says that the upstream closed, or was lost', async () => {
    const closed = await end(async () => (await upstream.session()).socket.close(4321, 'hidden'));
    assert.deepEqual([closed.closedBy, closed.reason, closed.code], ['upstream', 'upstream_closed', 4321]);
    const lost = await end(async () => (await upstream.session()).socket.terminate());
    assert.deepEqual([lost.closedBy, lost.reason, lost.code], ['upstream', 'upstream_lost', 1014]);
  });

  it('says that the gateway closed', async () => {
    const closed = await end((peer) => peer.send('x'.repeat(1001)));
    assert.deepEqual([closed.closedBy, closed.reason, closed.code], ['gateway', 'message_too_big', 1009]);
  });

  it('says that a client was denied', async () => {
    const token = issuer.sign({}, { expiresInSeconds: -60 });
    const headers = { 'x-request-id': `id-${randomUUID()}` };
    const peer = await Peer.open(`${gateway.ws}/echo`, { token, headers });
    await peer.ended();
    const line = await eventually(
      () => gateway.logs.find(({ requestId }) => requestId === headers['x-request-id']) ?? false,
    );
    assert.deepEqual([line.msg, line.closedBy, line.reason], ['client denied', 'gateway', 'jwt_invalid']);
    assert.deepEqual([line.sub, line.upstream, line.tokenAgeSeconds], [undefined, undefined, undefined]);
    assert.match(String(line.why), /exp/);
    assert.deepEqual(counts(line), counts({}));
  });

  it('says that no upstream could be reached', async () => {
    const { peer, sub } = await open({ path: '/busy' });
    await peer.ended();
    const { accepted, closed } = await linesOf(sub);
    assert.equal(accepted?.route, '/busy');
    assert.deepEqual([closed.closedBy, closed.reason], ['gateway', 'upstream_unavailable']);
    assert.deepEqual([closed.code, closed.upstream], [1014, undefined]);
    const dials = gateway.logs.filter(({ msg, route }) => msg === 'dial failed' && route === '/busy');
    assert.ok(dials.length > 0);
    for (const { session } of dials) assert.equal(session, closed.session);
  });

  it('goes by the request id of a trusted proxy, and keeps ids of its own', async () => {
    const given = `id-${randomUUID()}`;
    const { peer, sub } = await open({ headers: { 'x-request-id': given, 'x-forwarded-for': '192.0.2.77' } });
    await peer.close();
    const { accepted, closed } = await linesOf(sub);
    for (const line of [accepted, closed]) {
      assert.deepEqual([line?.requestId, line?.ip], [given, '192.0.2.77']);
      assert.match(String(line?.session), /^[\da-f]{8}-/);
    }
    assert.equal((await upstream.session()).header('x-request-id'), given);
  });

  it('is about MQTT clients and clients without a token, too', async () => {
    const sub = `sub-${randomUUID()}`;
    const peer = await MqttPeer.open(`${gateway.ws}/mqtt`, { username: 'x', password: issuer.sign({ sub }) });
    await peer.close();
    const { closed } = await linesOf(sub);
    assert.deepEqual([closed.protocol, closed.route, closed.closedBy], ['mqtt', '/mqtt', 'client']);
    assert.equal(closed.upstream, `${broker.url}/`);
    assert.ok(Number(closed.messagesToUpstream) > 0);
    assert.equal(closed.bytesToClient, 4, 'a CONNACK');

    const given = `id-${randomUUID()}`;
    const guest = await Peer.open(`${gateway.ws}/public`, { headers: { 'x-request-id': given } });
    await guest.close();
    const line = await eventually(
      () => gateway.logs.find((entry) => entry.requestId === given && entry.reason !== undefined) ?? false,
    );
    assert.deepEqual([line.sub, line.tokenAgeSeconds], [undefined, undefined]);
    assert.deepEqual(counts(line), NO_TRAFFIC);
  });

  it('says which handshakes were refused, without their query', async () => {
    const refusal = async (id: string) =>
      await eventually(() => gateway.logs.find((line) => line.requestId === id) ?? false);
    const cases = [
      { status: 404, path: '/nowhere', headers: {} },
      { status: 403, path: '/echo', headers: { origin: 'https://evil.example' } },
    ];
    for (const { status, path, headers } of cases) {
      const id = `id-${randomUUID()}`;
      await assert.rejects(
        Peer.open(`${gateway.ws}${path}?token=hidden`, {
          headers: { ...headers, 'x-request-id': id, 'user-agent': 'agent' },
        }),
        Refused,
      );
      const { time: _, level, msg, ...line } = await refusal(id);
      assert.deepEqual([level, msg], ['info', 'handshake refused']);
      assert.deepEqual(line, {
        ...{ status, ip: '127.0.0.1', requestId: id, method: 'GET', path },
        ...headers,
        userAgent: 'agent',
      });
    }
    const id = `id-${randomUUID()}`;
    const { client, answer } = await exchange(
      gateway.port,
      handshakeHead(gateway.port, '/echo', [`X-Request-Id: ${id}`], { without: ['Connection'] }),
    );
    client.destroy();
    assert.equal(answer?.status, 400);
    assert.equal((await refusal(id)).status, 400);
    const plain = `id-${randomUUID()}`;
    await http(`${gateway.http}/echo`, { method: 'POST', headers: { 'x-request-id': plain } });
    assert.deepEqual([(await refusal(plain)).status, (await refusal(plain)).method], [426, 'POST']);
  });

  it('is not drowned by a flood of refused handshakes, and says how many it left out', async () => {
    const refused = () => gateway.logs.filter(({ msg }) => msg === 'handshake refused');
    const before = refused().length;
    const flood = 500;
    const client = await RawClient.connect(gateway.port);
    const startMs = performance.now();
    for (let i = 0; i < flood; i++) {
      const one = i === 0 ? client : await RawClient.connect(gateway.port);
      one.write(handshakeHead(gateway.port, '/flood'));
      assert.equal((await one.readHead())?.status, 404);
      one.destroy();
    }
    const seconds = (performance.now() - startMs) / 1000;
    const written = refused().length - before;
    assert.ok(written <= 51 + seconds * 10, `${written} lines in ${seconds} s`);
    const left = await eventually(async () => {
      await http(`${gateway.http}/after-the-flood`);
      return refused().find(({ path, unlogged }) => path === '/after-the-flood' && unlogged) ?? false;
    });
    const told = refused()
      .slice(before)
      .reduce((sum, { unlogged }) => sum + Number(unlogged ?? 0), 0);
    assert.ok(Number(left.unlogged) > 0);
    const logged = refused()
      .slice(before)
      .filter(({ path }) => path === '/flood').length;
    assert.ok(logged + told >= flood, 'every one is written or counted');
  });

  it('is of trouble alone, or not there at all, where that is wanted, at start and later', async () => {
    const choosy = await start({ LOG_ACCESS: 'errors' });
    const change = (body: object) =>
      http(`${choosy.http}/admin/log`, { method: 'PUT', body: JSON.stringify(body) });
    const said = (sub: string) => choosy.logs.filter((line) => line.sub === sub).map(({ msg }) => msg);
    const comeAndGo = async (sub: string, last: string) => {
      const peer = await Peer.open(`${choosy.ws}/echo`, { token: issuer.sign({ sub }) });
      peer.send(last);
      await Promise.race([peer.next(), peer.ended()]);
      await peer.close();
    };
    const tooBig = 'x'.repeat(1001);
    await comeAndGo('one', 'x');
    await comeAndGo('two', tooBig);
    await eventually(() => assert.deepEqual(said('two'), ['session closed']));
    assert.equal((await change({ access: 'off' })).body, '{"level":"debug","access":"off"}\n');
    await comeAndGo('three', tooBig);
    assert.equal(
      (await change({ access: 'all', level: 'trace' })).body,
      '{"level":"trace","access":"all"}\n',
    );
    await comeAndGo('four', 'x');
    await eventually(() => assert.deepEqual(said('four'), ['client accepted', 'session closed']));
    assert.deepEqual([said('one'), said('three')], [[], []]);
    assert.equal((await change({ level: 'error' })).status, 200);
    await comeAndGo('five', tooBig);
    assert.equal((await http(`${choosy.http}/admin/log`)).body, '{"level":"error","access":"all"}\n');
    await choosy.stop();
    assert.deepEqual(said('five'), []);
  });

  it('says that the gateway went down', async () => {
    const going = await start();
    const sub = `sub-${randomUUID()}`;
    const peer = await Peer.open(`${going.ws}/echo`, { token: issuer.sign({ sub }) });
    const ended = peer.ended();
    await going.stop();
    assert.equal((await ended).code, 1001);
    const line = going.logs.find((entry) => entry.sub === sub && entry.reason !== undefined);
    assert.deepEqual([line?.closedBy, line?.reason, line?.code], ['gateway', 'shutdown', 1001]);
  });
});
