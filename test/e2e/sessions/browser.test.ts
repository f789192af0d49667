import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { type Chromium, startChromium } from '../../support/clients/chromium.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type Mosquitto, startMosquitto } from '../../support/servers/mosquitto.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

describe('a browser', () => {
  let issuer: Issuer;
  let broker: Mosquitto;
  let echo: Upstream;
  let chromium: Chromium;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    broker = await startMosquitto();
    echo = await startEcho();
    chromium = await startChromium();
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WS_ALLOWED_ORIGINS: `http://127.0.0.1:${chromium.port}` },
      routes: [
        { prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' },
        { prefix: '/echo', upstream: echo.url },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([chromium.close(), broker.stop(), echo.close(), issuer.close()]);
  });
  afterEach(async () => {
    echo.reset();
    await assertQuiet(gateway, { upstreams: [echo] });
  });

  const cookie = (): string => `session=${issuer.sign()}; HttpOnly`;

  it('runs MQTT.js on the cookie of its session, 3.1.1 and 5.0', async () => {
    const script = `
      const results = [];
      for (const protocolVersion of [4, 5]) {
        const client = await mqtt.connectAsync('${gateway.ws}/ws/mqtt', { protocolVersion, reconnectPeriod: 0 });
        const received = new Promise((resolve) => client.on('message', (topic, payload) => resolve(String(payload))));
        await client.subscribeAsync('page', { qos: 1 });
        await client.publishAsync('page', 'from version ' + protocolVersion, { qos: 1 });
        results.push(await received);
        await client.endAsync();
      }
      return results;`;
    assert.deepEqual(await chromium.run({ script, cookie: cookie() }), ['from version 4', 'from version 5']);
  });

  it('sees the close code of a refusal', async () => {
    const script = `
      const ending = (socket) => new Promise((resolve) => {
        socket.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean]);
      });
      return await ending(new WebSocket('${gateway.ws}/echo'));`;
    const forged = `session=${issuer.sign().slice(0, -8)}AAAAAAAA`;
    assert.deepEqual(await chromium.run({ script, cookie: forged }), [1008, 'JWT invalid or expired', true]);
  });

  it('exchanges text and binary', async () => {
    const script = `
      const socket = new WebSocket('${gateway.ws}/echo');
      socket.binaryType = 'arraybuffer';
      await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onclose = reject; });
      const next = () => new Promise((resolve) => { socket.onmessage = ({ data }) => resolve(data); });
      const results = [];
      for (const data of ['h\u00e9llo', new Uint8Array([0, 255, 128])]) {
        const coming = next();
        socket.send(data);
        const got = await coming;
        results.push(typeof got === 'string' ? got : [...new Uint8Array(got)]);
      }
      socket.close(4001, 'done');
      return results;`;
    assert.deepEqual(await chromium.run({ script, cookie: cookie() }), ['h\u00e9llo', [0, 255, 128]]);
    assert.deepEqual(await (await echo.session()).ended(), { code: 4001, reason: 'done' });
  });

  it('is refused on a page of another origin, whatever cookie it holds', async () => {
    const script = `
      const socket = new WebSocket('${gateway.ws}/echo');
      return await new Promise((resolve) => {
        socket.onopen = () => resolve('open');
        socket.onclose = ({ code }) => resolve(code);
      });`;
    const page = { script, cookie: cookie(), host: 'localhost' } as const;
    assert.equal(await chromium.run(page), 1006);
    assert.equal(echo.sessions.length, 0);
  });
});
