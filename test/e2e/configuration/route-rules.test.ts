import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { Peer, type PeerOptions, Refused } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { runCommand } from '../../support/gateway/command.js';
import { type Gateway, type RouteEntry, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

describe('what a route says of its clients and sessions', () => {
  let issuer: Issuer;
  let one: Upstream;
  let two: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    one = await startEcho();
    two = await startUpstream({
      onSession: (peer) => peer.socket.on('message', (data) => peer.send(`two ${data}`)),
    });
  });
  afterEach(async () => {
    await assertQuiet(gateway, { upstreams: [one, two] });
    await gateway.stop();
  });
  after(async () => {
    await Promise.all([one.close(), two.close(), issuer.close()]);
  });

  async function start(
    routes: readonly RouteEntry[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    gateway = await startGateway({ env: { JWKS_URL: issuer.jwksUrl, ...env }, routes });
  }
  const open = (options: PeerOptions = {}): Promise<Peer> =>
    Peer.open(`${gateway.ws}/app`, { token: issuer.sign(), ...options });
  const from = (address: string): PeerOptions => ({ headers: { 'x-forwarded-for': address } });
  async function asks(peer: Peer): Promise<string> {
    peer.send('x');
    return await peer.text();
  }
  const status = (expected: number) => (error: unknown) =>
    error instanceof Refused && error.status === expected;
  /** What explain says of such a client. */
  async function explained(...args: readonly string[]): Promise<string> {
    const { stdout } = await runCommand(['explain', '--path', '/app', '--token', '-', ...args], {
      env: { JWKS_URL: issuer.jwksUrl, ROUTE_FILE: gateway.routeFile },
      input: issuer.sign(),
    });
    return stdout;
  }

  it('hosts choose among routes of one prefix, also by what a trusted proxy says', async () => {
    await start([
      { prefix: '/app', upstream: one.url, hosts: ['one.example', '*.one.example'] },
      { prefix: '/app', upstream: two.url, hosts: ['two.example'] },
    ]);
    const clients = [
      [await open({ headers: { host: 'one.example' } }), 'x'],
      [await open({ headers: { host: 'a.ONE.example:99' } }), 'x'],
      [await open({ headers: { host: 'two.example' } }), 'two x'],
      [await open({ headers: { host: 'inner', 'x-forwarded-host': 'two.example' } }), 'two x'],
    ] as const;
    for (const [peer, answer] of clients) {
      assert.equal(await asks(peer), answer);
      await peer.close();
    }
    await assert.rejects(open(), status(404));
    await assert.rejects(open({ headers: { host: 'two.example.evil' } }), status(404));
    assert.match(
      await explained('--host', 'two.example'),
      /1\. \/app: does not fit the path, or is for one\.example/,
    );
  });

  it('hosts hold for HTTP routes', async () => {
    await start([
      { prefix: '/', respond: { body: 'one' }, auth: 'public', hosts: ['one.example'] },
      { prefix: '/', respond: { body: 'other' }, auth: 'public' },
    ]);
    const ask = async (host: string) => (await http(`${gateway.http}/x`, { headers: { host } })).body;
    assert.deepEqual([await ask('one.example'), await ask('elsewhere')], ['one', 'other']);
  });

  it('allow and deny hold for WebSocket and HTTP clients, before their tokens are looked at', async () => {
    await start([
      { prefix: '/app', upstream: one.url, allow: ['198.51.100.0/24'], deny: ['198.51.100.66'] },
      { prefix: '/page', respond: { body: 'page' }, allow: ['198.51.100.0/24'], deny: ['198.51.100.66'] },
    ]);
    const peer = await open(from('198.51.100.1'));
    assert.equal(await asks(peer), 'x');
    await peer.close();
    for (const address of ['198.51.100.66', '203.0.113.1'])
      await assert.rejects(open(from(address)), status(403));
    await eventually(() =>
      gateway.logs.some(
        ({ msg, why }) =>
          msg === 'handshake refused' && why === 'the route is not for the address 203.0.113.1',
      ),
    );
    const ask = (address: string) =>
      http(`${gateway.http}/page`, {
        headers: { 'x-forwarded-for': address, authorization: `Bearer ${issuer.sign()}` },
      });
    assert.equal((await ask('198.51.100.1')).status, 200);
    const refused = await ask('198.51.100.66');
    assert.equal(refused.status, 403);
    assert.deepEqual(
      [JSON.parse(refused.body).code, refused.headers['www-authenticate']],
      ['ERR_ADDRESS_REFUSED', undefined],
    );
    const { stdout } = await runCommand(
      ['explain', '--path', '/app', '--ip', '203.0.113.1', '--token', '-'],
      {
        env: { JWKS_URL: issuer.jwksUrl, ROUTE_FILE: gateway.routeFile },
        input: issuer.sign(),
      },
    );
    assert.match(
      stdout,
      /refused: HTTP 403\n.*the route is not for the address 203\.0\.113\.1\nfix +Put the address/,
    );
  });

  it('an address is refused in the session where the route is known only then', async () => {
    await start([
      { prefix: '/app', upstream: two.url, protocol: 'mqtt' },
      { prefix: '/app', upstream: one.url, deny: ['203.0.113.1'] },
    ]);
    const before = [one.sessions.length, two.sessions.length];
    const peer = await open(from('203.0.113.1'));
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Forbidden' });
    await eventually(() => gateway.logs.some(({ reason }) => reason === 'address_refused'));
    assert.deepEqual([one.sessions.length, two.sessions.length], before);
  });

  it('maxMessageBytes holds on its route alone, and a reload changes it for those who come then', async () => {
    const routes = (bytes: number) => [
      { prefix: '/app', upstream: one.url, maxMessageBytes: bytes },
      { prefix: '/other', upstream: one.url },
    ];
    await start(routes(3000), { MAX_MESSAGE_BYTES: '2000' });
    const send = async (path: string, bytes: number) => {
      const peer = await Peer.open(gateway.ws + path, { token: issuer.sign() });
      peer.send(Buffer.alloc(bytes));
      const answer = await peer.next().then(
        ({ data }) => data.length,
        (error: Error) => error.message,
      );
      if (typeof answer === 'number') await peer.close();
      return answer;
    };
    assert.equal(await send('/app', 3000), 3000);
    assert.match(String(await send('/app', 3001)), /^closed: 1009/);
    assert.match(String(await send('/other', 2001)), /^closed: 1009/);
    const old = await open();
    await gateway.writeRoutes(routes(10));
    await eventually(async () => typeof (await send('/app', 11)) === 'string');
    old.send(Buffer.alloc(3000));
    assert.equal((await old.next()).data.length, 3000, 'a live session keeps what it had');
    await old.close();
    assert.match(await explained(), /largest message: 10 bytes/);
  });

  it('weights share the sessions', async () => {
    await start([{ prefix: '/app', upstream: [{ url: one.url, weight: 3 }, two.url] }]);
    const answers: string[] = [];
    for (let count = 0; count < 8; count++) {
      const peer = await open();
      answers.push(await asks(peer));
      await peer.close();
    }
    assert.deepEqual(
      ['x', 'two x'].map((answer) => answers.filter((other) => other === answer).length),
      [6, 2],
    );
    assert.match(await explained(), /, weight 3\n.*, weight 1\n/);
  });
});
