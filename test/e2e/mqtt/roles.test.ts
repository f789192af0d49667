import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { type IConnectPacket, type Packet, parser } from 'mqtt-packet';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Connect, connectPacket, publishPacket } from '../../support/protocols/mqtt-packets.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

describe('the roles of a user are added to CONNECT', () => {
  let issuer: Issuer;
  let broker: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    broker = await startUpstream({ choose: () => 'mqtt' });
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [
        { prefix: '/property', upstream: broker.url, mqtt: { roles: 'user-property' } },
        { prefix: '/name', upstream: broker.url, mqtt: { roles: 'username' } },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([broker.close(), issuer.close()]);
  });
  afterEach(() => assertQuiet(gateway, { upstreams: [broker] }));

  async function seen(path: string, options: Connect): Promise<IConnectPacket> {
    broker.reset();
    const token = Buffer.from(issuer.sign({ roles: ['viewer', 'a,b'] }));
    const last = publishPacket(options.protocolVersion === 5 ? 5 : 4);
    const bytes = Buffer.concat([connectPacket({ password: token, ...options }), last]);
    const peer = await Peer.open(gateway.ws + path, { protocols: ['mqtt'] });
    peer.send(bytes);
    const session = await broker.session();
    const got = await eventually(() => {
      const sofar = Buffer.concat(session.inbox.map((message) => message.data));
      return sofar.subarray(-last.length).equals(last) && sofar;
    });
    await peer.close();
    const packets: Packet[] = [];
    const reading = parser({ protocolVersion: options.protocolVersion ?? 4 });
    reading.on('packet', (packet) => packets.push(packet));
    assert.equal(reading.parse(got), 0, 'whole packets');
    assert.deepEqual(
      packets.map((packet) => packet.cmd),
      ['connect', 'publish'],
    );
    const packet = packets[0] as IConnectPacket;
    assert.deepEqual(packet.password, token, 'the password is left alone');
    return packet;
  }

  it('as a user property in 5.0, in place of the one a client sent', async () => {
    const packet = await seen('/property', {
      protocolVersion: 5,
      username: 'u',
      properties: { userProperties: { roles: 'admin', colour: 'blue' }, sessionExpiryInterval: 7 },
      will: { topic: 't', payload: Buffer.from([0, 255]), qos: 1, retain: true },
    });
    assert.deepEqual({ ...packet.properties?.userProperties }, { roles: 'viewer,a%2Cb', colour: 'blue' });
    assert.equal(packet.properties?.sessionExpiryInterval, 7);
    assert.deepEqual([packet.username, packet.will?.topic], ['u', 't']);
  });

  it('in the user name, in place of what a client put behind the bar', async () => {
    for (const protocolVersion of [4, 5] as const) {
      const named = await seen('/name', { protocolVersion, username: 'alice|admin|root' });
      assert.equal(named.username, 'alice|viewer,a%2Cb');
      assert.equal((await seen('/name', { protocolVersion, username: 'bob' })).username, 'bob|viewer,a%2Cb');
    }
  });
});
