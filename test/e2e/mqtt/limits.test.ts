import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { generate } from 'mqtt-packet';
import { MqttPeer } from '../../support/clients/mqtt-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { connectPacket, publishPacket } from '../../support/protocols/mqtt-packets.js';
import { type AedesBroker, startAedes } from '../../support/servers/aedes.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

const BURST = 12;

describe('the rate limit of MQTT clients', () => {
  let issuer: Issuer;
  let broker: AedesBroker;
  let sink: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    broker = await startAedes();
    sink = await startUpstream({
      choose: (offered) => offered.find((name) => name === 'mqtt'),
      onSession: () => {},
    });
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, RATE_LIMIT_PER_SECOND: '0.001', RATE_LIMIT_BURST: `${BURST}` },
      routes: [
        { prefix: '/broker', upstream: broker.url, protocol: 'mqtt' },
        { prefix: '/sink', upstream: sink.url, protocol: 'mqtt' },
      ],
    });
  });
  afterEach(async () => {
    await assertQuiet(gateway, { upstreams: [sink] });
  });
  after(async () => {
    await gateway.stop();
    await broker.close();
    await sink.close();
    await issuer.close();
  });

  const open = async (): Promise<Peer> => {
    const peer = await Peer.open(`${gateway.ws}/sink`, { protocols: ['mqtt'] });
    peer.send(
      connectPacket({ username: 'u', password: Buffer.from(issuer.sign({ sub: crypto.randomUUID() })) }),
    );
    return peer;
  };

  it('counts a publish once, in however many frames a client writes it', async () => {
    const peer = await MqttPeer.open(`${gateway.ws}/broker`, {
      username: 'u',
      password: issuer.sign({ sub: 'mqttjs' }),
    });
    // MQTT.js writes header, topic, packet id and payload one by one: some sixty frames, and
    // as many packets as allowed.
    await peer.client.subscribeAsync('echo', { qos: 1 });
    await Promise.all(
      Array.from({ length: BURST - 1 }, (_, index) =>
        peer.client.publishAsync('echo', `${index}`, { qos: 1 }),
      ),
    );
    for (let index = 0; index < BURST - 1; index++)
      assert.equal((await peer.next()).payload.toString(), `${index}`);
    await peer.close();
  });

  it('counts every publish, in however few frames they come', async () => {
    const peer = await open();
    const publishes = Buffer.concat(Array.from({ length: 500 }, () => publishPacket()));
    for (let frame = 0; frame < 5; frame++) peer.send(publishes);
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Rate limit exceeded' });
  });

  it('counts what lies behind CONNECT in the same frame, and what is cut anywhere', async () => {
    const peer = await open();
    const publish = publishPacket();
    const bytes = Buffer.concat(Array.from({ length: BURST }, () => publish));
    for (let at = 0; at < bytes.length; at += 3) peer.send(bytes.subarray(at, at + 3));
    // Acknowledgements and pings are free.
    const free = [generate({ cmd: 'pingreq' }), generate({ cmd: 'puback', messageId: 1 })];
    for (let turn = 0; turn < 50; turn++) peer.send(Buffer.concat(free));
    const sent = bytes.length + 50 * Buffer.concat(free).length;
    await eventually(() => {
      const received = sink.sessions.at(-1)?.inbox.slice(1) ?? [];
      return received.reduce((sum, { data }) => sum + data.length, 0) === sent;
    });
    peer.send(publish);
    assert.deepEqual(await peer.ended(), { code: 1008, reason: 'Rate limit exceeded' });

    const other = await Peer.open(`${gateway.ws}/sink`, { protocols: ['mqtt'] });
    const connect = connectPacket({ username: 'u', password: Buffer.from(issuer.sign({ sub: 'behind' })) });
    other.send(Buffer.concat([connect, bytes, publish]));
    assert.deepEqual(await other.ended(), { code: 1008, reason: 'Rate limit exceeded' });
  });
});
