import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const ADMIN = { Authorization: 'Bearer a-token-of-some-length' };

describe('exchanges under way', () => {
  let issuer: Issuer;
  let events: Server;
  let sockets: Upstream;
  let gateway: Gateway;
  let open = 0;

  before(async () => {
    issuer = await startIssuer();
    sockets = await startEcho();
    events = createServer((request, response) => {
      request.resume().on('error', () => {});
      // Neither an answer nor an end.
      if (request.url === '/silent') return;
      open++;
      response.on('close', () => open--);
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('data: 1\n\n');
    });
    events.listen(0, '127.0.0.1');
    await once(events, 'listening');
  });
  after(async () => {
    events.closeAllConnections();
    events.close();
    await Promise.all([sockets.close(), issuer.close()]);
  });
  beforeEach(async () => {
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        ADMIN_TOKEN: 'a-token-of-some-length',
        GRACEFUL_DRAIN_TIMEOUT_SECONDS: '1',
      },
      routes: routes(),
    });
  });
  afterEach(async () => {
    await gateway.stop();
    await eventually(() => open === 0);
  });

  const upstream = () => `http://127.0.0.1:${(events.address() as AddressInfo).port}`;
  const routes = (more: Readonly<Record<string, unknown>> = {}) => [
    { prefix: '/events', upstream: upstream(), ...more },
    { prefix: '/short', upstream: upstream(), auth: 'public', timeouts: { answer: 0.5, idle: 0.5 } },
    {
      prefix: '/sockets',
      upstream: `http://127.0.0.1:${sockets.port}`,
      requestHeaders: { set: { 'X-Team': '{claim.team}-{sub}' }, remove: ['x-user-name'] },
    },
  ];

  /** Events of a subject, once the first has come; `cut` says whether they ended without an end. */
  async function follow(claims: Readonly<Record<string, unknown>>) {
    const request = httpRequest(`${gateway.http}/events`, {
      headers: { Authorization: `Bearer ${issuer.sign(claims)}` },
      agent: false,
    });
    request.on('error', () => {}).end();
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    answer.on('error', () => {});
    await once(answer, 'data');
    const cut = ended(answer).then(() => !answer.complete);
    return { answer, cut };
  }
  const admin = (method: string, path: string, body?: unknown) =>
    http(`${gateway.http}${path}`, {
      method,
      headers: ADMIN,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  it('are cut when their token is revoked, and counted with the sessions', async () => {
    const [one, two, other] = [
      await follow({ sub: 'rita', jti: 'r' }),
      await follow({ sub: 'rita', jti: 'r' }),
      await follow({ sub: 'sam', jti: 's' }),
    ];
    const peer = await Peer.open(`${gateway.ws}/sockets`, { token: issuer.sign({ sub: 'rita', jti: 'r' }) });
    const answer = await admin('POST', '/admin/revoke', { sub: 'rita', jti: 'r' });
    assert.deepEqual(JSON.parse(answer.body), { revoked: true, sessionsClosed: 3, propagated: true });
    assert.deepEqual([await one.cut, await two.cut], [true, true]);
    assert.equal((await peer.closed).code, 1008);
    assert.equal(other.answer.closed, false);
    other.answer.destroy();
  });

  it('are cut when their token expires, and when their subject is banned', async () => {
    const banned = await follow({ sub: 'ben' });
    // The leeway is 5 s.
    const expiring = await follow({ sub: 'eve', exp: Math.floor(Date.now() / 1000) - 3 });
    assert.equal((await admin('POST', '/admin/bans', { sub: 'ben' })).status, 201);
    assert.ok(await banned.cut);
    assert.ok(await expiring.cut);
  });

  it('are cut when their endpoint goes, where the route says so, and stay where it does not', async () => {
    const elsewhere = `http://127.0.0.1:${sockets.port}`;
    let reloads = 0;
    const reload = async (more: Readonly<Record<string, unknown>>) => {
      await gateway.writeRoutes(routes(more));
      reloads++;
      await eventually(
        async () => (await gateway.metrics()).sum('ws_config_reloads_total', { result: 'ok' }) >= reloads,
      );
    };
    await reload({ onRemove: 'close' });
    const goes = await follow({ sub: 'ann' });
    await reload({ onRemove: 'close', upstream: elsewhere });
    assert.ok(await goes.cut);
    await reload({});
    const stays = await follow({ sub: 'ann' });
    await reload({ upstream: elsewhere });
    assert.equal(stays.answer.closed, false);
    stays.answer.destroy();
  });

  it('may go on while the gateway shuts down, and are cut at the end of the window', async () => {
    const going = await follow({ sub: 'ann' });
    const exit = gateway.stop();
    await eventually(async () => (await http(`${gateway.http}/readyz`)).status === 503);
    assert.equal(going.answer.closed, false);
    assert.ok(await going.cut);
    assert.equal((await exit).code, 0);
  });

  it('are 504 without an answer in time, and cut when nothing comes for too long', async () => {
    const late = await http(`${gateway.http}/short/silent`);
    assert.equal(late.status, 504);
    assert.equal(JSON.parse(late.body).code, 'ERR_UPSTREAM_TIMEOUT');
    const [answer] = (await once(httpRequest(`${gateway.http}/short`).end(), 'response')) as [
      IncomingMessage,
    ];
    answer.on('error', () => {});
    await ended(answer);
    assert.equal(answer.complete, false);
  });

  it('whose body breaks the protocol leave a line that says what was answered', async () => {
    const client = connect(gateway.port, '127.0.0.1');
    client.write('POST /short/silent HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await eventually(async () => (await gateway.metrics()).sum('http_requests_in_flight') === 1);
    client.write('zz\r\n');
    let heard = '';
    for await (const chunk of client as AsyncIterable<Buffer>) heard += chunk.toString();
    assert.match(heard, /^HTTP\/1\.1 400 .*"code":"ERR_REQUEST_MALFORMED"/s);
    const line = await eventually(() => gateway.logs.find(({ msg }) => msg === 'exchange') ?? false);
    assert.deepEqual([line.status, line.path, line.code], [400, '/short/silent', 'ERR_REQUEST_MALFORMED']);
  });

  it('become WebSockets at the same endpoint, with the headers that the route changes', async () => {
    const token = issuer.sign({ sub: 'ann', preferred_username: 'Ann', team: 'blue' });
    const peer = await Peer.open(`${gateway.ws}/sockets/room?x=1`, { token });
    peer.send('hello');
    assert.equal(await peer.text(), 'hello');
    const session = await sockets.session();
    assert.equal(session.request.url, '/room?x=1');
    assert.equal(session.header('x-team'), 'blue-ann');
    assert.equal(session.header('x-user-id'), 'ann');
    assert.equal(session.header('x-user-name'), undefined);
    await peer.close();
  });
});

/** Resolves when an answer has ended, well or not. */
function ended(answer: IncomingMessage): Promise<void> {
  return new Promise((resolve) => answer.resume().on('close', resolve));
}
