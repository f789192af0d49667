import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client } from '@stomp/stompjs';
import { WebSocket } from 'ws';
import { Peer } from '../../support/clients/ws-client.js';
import { within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RabbitMq, startRabbitMq } from '../../support/servers/rabbitmq.js';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

describe('STOMP', () => {
  let issuer: Issuer;
  let rabbit: RabbitMq;
  let plain: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    rabbit = await startRabbitMq();
    plain = await startUpstream({ choose: ([first]) => first });
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, AUTH_TIMEOUT_SECONDS: '2' },
      routes: [
        { prefix: '/rabbit', upstream: rabbit.url },
        { prefix: '/stomp', upstream: plain.url, protocol: 'stomp', requireRoles: ['user'] },
        { prefix: '/keep', upstream: plain.url, forwardToken: true },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([rabbit.stop(), plain.close(), issuer.close()]);
  });
  afterEach(async () => {
    plain.reset();
    await assertQuiet(gateway, { upstreams: [plain] });
  });

  const VERSIONS = ['v12.stomp', 'v11.stomp', 'v10.stomp'];
  const connect = (...headers: string[]): string =>
    ['CONNECT', 'accept-version:1.2', 'host:/', ...headers, '', '\0'].join('\n');

  it('runs @stomp/stompjs on a RabbitMQ that knows nothing of tokens', async () => {
    const client = new Client({
      webSocketFactory: () => new WebSocket(`${gateway.ws}/rabbit`, VERSIONS) as never,
      connectHeaders: { login: 'guest', passcode: 'guest', Authorization: `Bearer ${issuer.sign()}` },
      reconnectDelay: 0,
    });
    await within(
      new Promise<void>((resolve, reject) => {
        client.onConnect = () => resolve();
        client.onStompError = ({ headers }) => reject(new Error(headers.message));
        client.onWebSocketClose = () => reject(new Error('closed'));
        client.activate();
      }),
      'CONNECTED',
    );
    const received = new Promise<string>((resolve) => {
      client.subscribe('/topic/news', ({ body }) => resolve(body), { receipt: 'ready' });
    });
    const ready = new Promise<void>((resolve) => client.watchForReceipt('ready', () => resolve()));
    await within(ready, 'RECEIPT');
    client.publish({ destination: '/topic/news', body: 'héllo' });
    assert.equal(await within(received, 'MESSAGE'), 'héllo');
    await client.deactivate();
  });

  it('takes the token out of CONNECT, wherever it stands, and leaves the rest as it came', async () => {
    const token = issuer.sign({ sub: 'sam', roles: ['user'] });
    for (const header of [`Authorization:Bearer ${token}`, `passcode:${token}`, `access_token:${token}`]) {
      const peer = await Peer.open(`${gateway.ws}/stomp`, { protocols: VERSIONS });
      assert.equal(peer.socket.protocol, 'v12.stomp');
      peer.send(connect('login:a', header, 'heart-beat:0,0'));
      const session = await plain.session();
      const first = await session.next();
      assert.deepEqual(
        [String(first.data), first.isBinary],
        [connect('login:a', 'heart-beat:0,0'), false],
        header,
      );
      assert.equal(session.header('sec-websocket-protocol'), 'v12.stomp');
      const { headers } = session.request;
      assert.deepEqual([headers['x-user-id'], headers.authorization], ['sam', undefined]);
      await peer.close();
      plain.reset();
    }
    const kept = await Peer.open(`${gateway.ws}/keep`, { protocols: ['v10.stomp'] });
    kept.send(connect(`passcode:${token}`));
    assert.equal(await (await plain.session()).text(), connect(`passcode:${token}`));
    await kept.close();
  });

  it('has CONNECT in pieces, with what follows it', async () => {
    const peer = await Peer.open(`${gateway.ws}/stomp`, { protocols: VERSIONS });
    const text = `\n${connect(`Authorization:${issuer.sign({ roles: ['user'] })}`)}\nSUBSCRIBE\nid:0\n\n\0`;
    for (const piece of [text.slice(0, 10), text.slice(10, 200), text.slice(200)]) peer.send(piece);
    assert.equal(await (await plain.session()).text(), `${connect()}\nSUBSCRIBE\nid:0\n\n\0`);
    await peer.close();
  });

  it('is told by an ERROR frame, then 1008', async () => {
    for (const [frame, reason] of [
      [connect(), 'JWT missing'],
      [connect('Authorization:Bearer x'), 'Malformed JWT'],
      [connect(`Authorization:${issuer.sign().slice(0, -8)}AAAAAAAA`), 'JWT invalid or expired'],
      [connect(`Authorization:${issuer.sign()}`), 'Forbidden'],
    ] as const) {
      const peer = await Peer.open(`${gateway.ws}/stomp`, { protocols: VERSIONS });
      peer.send(frame);
      const told = await peer.next();
      assert.match(String(told.data), /^ERROR\nmessage:access refused\n/);
      assert.equal(told.isBinary, false);
      assert.deepEqual(await peer.ended(), { code: 1008, reason });
    }
    const bad = await Peer.open(`${gateway.ws}/stomp`, { protocols: VERSIONS });
    bad.send('SEND\n\nx\0');
    assert.match(await bad.text(), /^ERROR\n/);
    assert.deepEqual(await bad.ended(), { code: 1002, reason: 'Bad CONNECT' });
    const silent = await Peer.open(`${gateway.ws}/stomp`, { protocols: VERSIONS });
    assert.match(await silent.text(), /^ERROR\nmessage:access refused\n/);
    assert.deepEqual(await silent.ended(), { code: 1008, reason: 'Authentication timeout' });
    assert.equal(plain.sessions.length, 0);
  });
});
