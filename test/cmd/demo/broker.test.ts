import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { type Broker, startBroker } from '../../../cmd/demo/services/broker.js';
import { Peer } from '../../support/clients/ws-client.js';
import { connectPacket } from '../../support/protocols/mqtt-packets.js';

/** What a client may not send (MQTT 5.0), as bytes behind its CONNECT. */
const MALFORMED = {
  'SUBSCRIBE to an empty filter [MQTT-4.7.3-1]': '8206 0001 00 0000 00',
  'SUBSCRIBE to nothing [MQTT-3.8.3-2]': '8203 0001 00',
  'UNSUBSCRIBE from an empty filter [MQTT-4.7.3-1]': 'a205 0001 00 0000',
  'UNSUBSCRIBE from nothing [MQTT-3.10.3-2]': 'a203 0001 00',
  'PUBLISH to an empty topic [MQTT-3.3.2-8]': '3003 0000 00',
  'PUBLISH to a filter [MQTT-3.3.2-2]': '3004 0001 23 00',
};

describe('the broker of the demo', () => {
  let broker: Broker;
  before(async () => {
    broker = await startBroker();
  });
  after(() => broker.close());

  async function connected(): Promise<Peer> {
    const peer = await Peer.open(broker.url, { protocols: ['mqtt'] });
    peer.send(connectPacket({ protocolVersion: 5, clientId: '' }));
    assert.equal((await peer.next()).data[0], 0x20);
    return peer;
  }

  for (const [what, bytes] of Object.entries(MALFORMED))
    it(`ends a client of MQTT 5.0, and nothing else, for ${what}`, async () => {
      const [other, peer] = [await connected(), await connected()];
      peer.send(Buffer.from(bytes.replaceAll(' ', ''), 'hex'));
      await peer.ended();
      other.send(Buffer.from('c000', 'hex'));
      assert.equal((await other.next()).data.toString('hex'), 'd000');
      other.socket.terminate();
      await once(other.socket, 'close');
    });
});
