import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { generate } from 'mqtt-packet';
import { type Chromium, startChromium } from '../../support/clients/chromium.js';
import { Peer } from '../../support/clients/ws-client.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type Mosquitto, startMosquitto } from '../../support/servers/mosquitto.js';
import { startEcho, startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

const kubernetes = (token: string): string =>
  `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`;

describe('a token among the sub-protocols', () => {
  let issuer: Issuer;
  let echo: Upstream;
  /** Chooses the first sub-protocol it is offered. */
  let chooser: Upstream;
  let broker: Mosquitto;
  let chromium: Chromium;
  let gateway: Gateway;
  const tokens: string[] = [];

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    chooser = await startUpstream({ echo: true, choose: ([first]) => first });
    broker = await startMosquitto();
    chromium = await startChromium();
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        LOG_LEVEL: 'trace',
        WS_ALLOWED_ORIGINS: `http://127.0.0.1:${chromium.port}`,
      },
      routes: [
        { prefix: '/echo', upstream: echo.url },
        { prefix: '/copy', upstream: chooser.url, copySubProtocol: true },
        { prefix: '/public', upstream: echo.url, auth: 'public', copySubProtocol: true },
        { prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([chromium.close(), broker.stop(), echo.close(), chooser.close(), issuer.close()]);
  });
  afterEach(async () => {
    echo.reset();
    chooser.reset();
    await assertQuiet(gateway, { upstreams: [echo, chooser] });
    const metricsText = (await gateway.metrics()).text;
    for (const token of tokens)
      for (const form of [token, Buffer.from(token).toString('base64url')]) {
        assert.ok(!gateway.output.includes(form), 'no token in the log');
        assert.ok(!metricsText.includes(form), 'no token in the metrics');
      }
  });

  const sign = (claims: Record<string, unknown> = {}): string => {
    const token = issuer.sign(claims);
    tokens.push(token);
    return token;
  };

  /** Opens with `protocols`; what the 101 selected, and what the upstream was offered. */
  async function opened(path: string, protocols: readonly string[]) {
    const peer = await Peer.open(gateway.ws + path, { protocols });
    const session = await (path === '/copy' ? chooser : echo).session();
    peer.send('x');
    assert.equal(await peer.text(), 'x');
    const selected = peer.socket.protocol;
    await peer.close();
    return {
      selected,
      offered: session.header('sec-websocket-protocol'),
      user: session.header('x-user-id'),
    };
  }

  it('lets a client in; another one is selected if there is one, else the name', async () => {
    const token = sign();
    for (const path of ['/echo', '/ws/echo', '/public'])
      assert.deepEqual(
        await opened(path, ['Bearer', token]),
        { selected: 'Bearer', offered: undefined, user: 'alice' },
        path,
      );
    assert.deepEqual(await opened('/echo', ['access_token', token, 'chat']), {
      selected: 'chat',
      offered: undefined,
      user: 'alice',
    });
    assert.deepEqual(await opened('/copy', ['chat', 'bearer', token, 'log']), {
      selected: 'chat',
      offered: 'chat, log',
      user: 'alice',
    });
  });

  it("comes in Kubernetes' form, beside the protocol that is meant", async () => {
    const token = sign();
    assert.deepEqual(await opened('/copy', [kubernetes(token), 'v4.channel.k8s.io']), {
      selected: 'v4.channel.k8s.io',
      offered: 'v4.channel.k8s.io',
      user: 'alice',
    });
  });

  it('comes after a header and before the cookie', async () => {
    const protocols = ['bearer', sign({ sub: 'announced' })];
    const cookie = `session=${sign({ sub: 'cookie' })}`;
    const behind = await Peer.open(`${gateway.ws}/echo?token=${sign({ sub: 'query' })}`, {
      protocols,
      headers: { cookie },
    });
    assert.equal((await echo.session()).header('x-user-id'), 'announced');
    await behind.close();
    echo.reset();
    const before = await Peer.open(`${gateway.ws}/echo`, { protocols, token: sign({ sub: 'header' }) });
    assert.equal((await echo.session()).header('x-user-id'), 'header');
    await before.close();
  });

  it('that is no good is refused without being echoed', async () => {
    const forged = `${sign().slice(0, -8)}AAAAAAAA`;
    tokens.push(forged);
    const peer = await Peer.open(`${gateway.ws}/copy`, { protocols: ['bearer', forged] });
    assert.equal(peer.socket.protocol, 'bearer');
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'JWT invalid or expired' });
    assert.equal(echo.sessions.length, 0);
  });

  it('serves MQTT clients too, whose own sub-protocol is selected', async () => {
    const token = sign();
    const peer = await Peer.open(`${gateway.ws}/mqtt`, { protocols: ['bearer', token, 'mqtt'] });
    assert.equal(peer.socket.protocol, 'mqtt');
    peer.send(
      generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'a' }),
    );
    assert.deepEqual((await peer.next()).data, Buffer.of(0x20, 2, 0, 0));
    await peer.close();
  });

  it('lets a page in that has no other way', async () => {
    const script = `
      const opened = (protocols) => new Promise((resolve) => {
        const socket = new WebSocket('${gateway.ws}/echo', protocols);
        socket.onopen = () => { resolve(socket.protocol); socket.close(); };
        socket.onclose = ({ code }) => resolve(code);
      });
      const token = '${sign()}';
      return [await opened(['bearer', token]), await opened(['chat', 'bearer', token])];`;
    assert.deepEqual(await chromium.run({ script }), ['bearer', 'chat']);
  });
});
