import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import type { IClientOptions } from 'mqtt';
import { http } from '../../support/clients/http.js';
import { MqttPeer } from '../../support/clients/mqtt-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { connectPacket } from '../../support/protocols/mqtt-packets.js';
import { type AedesBroker, startAedes } from '../../support/servers/aedes.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type Mosquitto, startMosquitto } from '../../support/servers/mosquitto.js';

describe('MQTT.js through the gateway to mosquitto', () => {
  let issuer: Issuer;
  let broker: Mosquitto;
  let aedes: AedesBroker;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    broker = await startMosquitto();
    aedes = await startAedes();
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [
        { prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' },
        { prefix: '/aedes', upstream: aedes.url, protocol: 'mqtt' },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([broker.stop(), aedes.close()]);
    await issuer.close();
  });
  afterEach(() => assertQuiet(gateway));

  const open = (options: IClientOptions, path = '/mqtt'): Promise<MqttPeer> =>
    MqttPeer.open(gateway.ws + path, options);

  for (const [what, end] of [
    ['the broker hangs up', async () => {}],
    ['the client is gone at once', async (peer) => peer.socket.terminate()],
  ] satisfies [string, (peer: Peer) => Promise<void>][])
    it(`a DISCONNECT after which ${what} is a proper end, and no fault of the broker`, async () => {
      const before = await gateway.metrics();
      const peer = await Peer.open(`${gateway.ws}/mqtt`, { protocols: ['mqtt'] });
      peer.send(connectPacket({ username: 'alice', password: Buffer.from(issuer.sign()) }));
      assert.deepEqual((await peer.next()).data, Buffer.of(0x20, 2, 0, 0));
      peer.send(Buffer.of(0xe0, 0));
      await end(peer);
      const told = await peer.ended();
      if (what === 'the broker hangs up') assert.equal(told.code, 1000);
      const reason = { reason: 'mqtt_disconnect' };
      await eventually(async () => {
        const now = await gateway.metrics();
        return (
          now.sum('ws_session_closed_total', reason) === before.sum('ws_session_closed_total', reason) + 1
        );
      });
      const now = await gateway.metrics();
      assert.equal(now.sum('ws_proxy_errors_total'), before.sum('ws_proxy_errors_total'));
      const { body } = await http(`${gateway.http}/admin/upstreams`);
      assert.ok(!/"faults":[1-9]/.test(body), body);
    });

  for (const protocolVersion of [4, 5] as const)
    describe(protocolVersion === 4 ? 'with MQTT 3.1.1' : 'with MQTT 5.0', () => {
      const authenticated = (options: IClientOptions = {}): IClientOptions => ({
        protocolVersion,
        username: 'alice',
        password: issuer.sign(),
        ...options,
      });

      it('delivers QoS 0, 1 and 2 in order', async () => {
        const topic = `order/${randomUUID()}`;
        const subscriber = await open(authenticated());
        await subscriber.client.subscribeAsync(`${topic}/#`, { qos: 2 });
        const publisher = await open(authenticated());
        for (const qos of [0, 1, 2] as const) {
          for (let index = 0; index < 20; index++)
            await publisher.client.publishAsync(`${topic}/${qos}`, String(index), { qos });
          for (let index = 0; index < 20; index++) {
            const delivery = await subscriber.next();
            assert.deepEqual(
              [delivery.topic, delivery.payload.toString(), delivery.qos],
              [`${topic}/${qos}`, String(index), qos],
            );
          }
        }
        await Promise.all([subscriber.close(), publisher.close()]);
      });

      it('delivers retained messages and takes them away', async () => {
        const topic = `retained/${randomUUID()}`;
        const publisher = await open(authenticated());
        await publisher.client.publishAsync(topic, 'kept', { qos: 1, retain: true });
        const subscriber = await open(authenticated());
        await subscriber.client.subscribeAsync(topic);
        const delivery = await subscriber.next();
        assert.deepEqual([delivery.payload.toString(), delivery.retain], ['kept', true]);
        await publisher.client.publishAsync(topic, '', { qos: 1, retain: true });
        await Promise.all([subscriber.close(), publisher.close()]);
      });

      it('has the will published when the client vanishes, and not when it says goodbye', async () => {
        const topic = `will/${randomUUID()}`;
        const watcher = await open(authenticated());
        await watcher.client.subscribeAsync(`${topic}/#`, { qos: 1 });
        const will = (name: string): IClientOptions =>
          authenticated({
            will: { topic: `${topic}/${name}`, payload: Buffer.from(name), qos: 1, retain: false },
          });
        const polite = await open(will('polite'));
        await polite.close();
        const lost = await open(will('lost'));
        lost.client.stream.destroy();
        assert.equal((await watcher.next()).topic, `${topic}/lost`);
        assert.equal(watcher.inbox.length, 0);
        await lost.client.endAsync(true);
        await watcher.close();
      });

      it('carries payloads of all sizes and tokens of 6 KB', async () => {
        const roles = Array.from({ length: 280 }, (_, index) => `role-number-${index}`);
        const password = issuer.sign({ roles });
        assert.ok(password.length > 6000);
        const topic = `large/${randomUUID()}`;
        const peer = await open(authenticated({ password }));
        await peer.client.subscribeAsync(topic, { qos: 1 });
        // mosquitto takes 4 KB of a WebSocket in 100 ms: larger payloads are for another broker.
        for (const size of [0, 1, 127, 128, 16_383, 16_384, 40_000]) {
          const payload = randomBytes(size);
          await peer.client.publishAsync(topic, payload, { qos: 1 });
          assert.ok((await peer.next()).payload.equals(payload), `${size} bytes`);
        }
        await peer.close();
      });

      it('takes the token from a header, a cookie or the query when there is no password', async () => {
        const jwt = issuer.sign();
        const places: [IClientOptions, string][] = [
          [{ wsOptions: { headers: { authorization: `Bearer ${jwt}` } } }, '/mqtt'],
          [{ wsOptions: { headers: { cookie: `session=${jwt}` } } }, '/mqtt'],
          [{}, `/mqtt?token=${jwt}`],
          [{ username: 'only-a-name' }, `/ws/mqtt?token=${jwt}`],
        ];
        for (const [options, path] of places) {
          const peer = await open({ protocolVersion, ...options }, path);
          await peer.client.publishAsync('x', 'y', { qos: 1 });
          await peer.close();
        }
      });

      it('keeps a persistent session over reconnects', async () => {
        const topic = `kept/${randomUUID()}`;
        const options = authenticated({
          clientId: `kept-${randomUUID()}`,
          clean: false,
          ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 300 } } : {}),
        });
        const first = await open(options);
        await first.client.subscribeAsync(topic, { qos: 1 });
        await first.close();
        const publisher = await open(authenticated());
        await publisher.client.publishAsync(topic, 'while you were out', { qos: 1 });
        await publisher.close();
        const second = await open(options);
        assert.equal((await second.next()).payload.toString(), 'while you were out');
        await second.close();
      });

      it('reports a refused password to the client as not authorized', async () => {
        const bad = `${issuer.sign().slice(0, -8)}AAAAAAAA`;
        const code = protocolVersion === 4 ? 5 : 0x87;
        await assert.rejects(open(authenticated({ password: bad })), (error: Error & { code?: number }) => {
          assert.equal(error.code, code);
          return true;
        });
      });
    });

  it('carries payloads up to MAX_MESSAGE_BYTES', async () => {
    const topic = `huge/${randomUUID()}`;
    const peer = await open({ username: 'alice', password: issuer.sign() }, '/aedes');
    await peer.client.subscribeAsync(topic, { qos: 1 });
    for (const size of [200_000, 1_048_000]) {
      const payload = randomBytes(size);
      await peer.client.publishAsync(topic, payload, { qos: 1 });
      assert.ok((await peer.next()).payload.equals(payload), `${size} bytes`);
    }
    await peer.close();
  });

  it('speaks to a 3.1 client', async () => {
    const peer = await open({
      protocolVersion: 3,
      protocolId: 'MQIsdp',
      clientId: 'old-timer',
      username: 'alice',
      password: issuer.sign(),
    });
    await peer.client.subscribeAsync('old', { qos: 1 });
    await peer.client.publishAsync('old', 'gold', { qos: 1 });
    assert.equal((await peer.next()).payload.toString(), 'gold');
    await peer.close();
  });
});
