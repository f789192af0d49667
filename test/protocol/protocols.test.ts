import assert from 'node:assert/strict';
import { test } from 'node:test';
import { graphql } from '../../internal/protocol/graphql.js';
import { mqtt } from '../../internal/protocol/mqtt.js';
import { adapterForBytes, adapterForSubprotocol, PROTOCOLS } from '../../internal/protocol/protocols.js';
import { raw } from '../../internal/protocol/raw.js';
import { stomp } from '../../internal/protocol/stomp.js';
import { connect } from './connect-packet.js';

test('the list cannot be changed and ends with the adapter that takes anything', () => {
  assert.deepEqual(PROTOCOLS, [mqtt, stomp, graphql, raw]);
  assert.ok(Object.isFrozen(PROTOCOLS) && PROTOCOLS.every((adapter) => Object.isFrozen(adapter)));
});

test('the first MQTT sub-protocol of the offer is the one to answer with', () => {
  const chosen = (...offered: string[]) => adapterForSubprotocol(offered)?.subprotocol;
  assert.equal(chosen('mqtt'), 'mqtt');
  assert.equal(chosen('mqttv3.1'), 'mqttv3.1');
  assert.equal(chosen('x', 'mqttv3.1', 'mqtt'), 'mqttv3.1');
  assert.equal(adapterForSubprotocol(['mqtt'])?.adapter, mqtt);
});

test('only the exact names count', () => {
  for (const name of ['MQTT', 'mqtt ', 'mqttv3', 'mqttv3.1.1', 'mqttv5', '', '__proto__', 'length']) {
    assert.equal(adapterForSubprotocol([name]), undefined, name);
  }
  assert.equal(adapterForSubprotocol([]), undefined);
});

test('first bytes find their protocol, or wait for more', () => {
  assert.equal(adapterForBytes(Buffer.alloc(0)), undefined);
  assert.equal(adapterForBytes(Buffer.of(0x10)), undefined);
  assert.equal(adapterForBytes(connect().subarray(0, 7)), undefined);
  assert.equal(adapterForBytes(connect()), mqtt);
  assert.equal(adapterForBytes(Buffer.from('{}')), raw);
  assert.equal(adapterForBytes(Buffer.of(0x10, 0xde, 0xad, 0xbe, 0xef)), raw);
  assert.equal(adapterForBytes(Buffer.of(0x10, 0x0c, 0x00, 0x04, 0x4d, 0x51, 0x54, 0x58)), raw);
});
