import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { MqttPackets } from '../../internal/protocol/mqtt-packets.js';

const topic = fc.constantFrom('a', 'some/topic', 'x'.repeat(200));
const id = fc.integer({ min: 1, max: 65_535 });
const body = fc.oneof(
  fc.uint8Array({ maxLength: 30 }),
  fc.integer({ min: 100, max: 20_000 }).map((length) => new Uint8Array(length).fill(0x30)),
);

const packet: fc.Arbitrary<Packet> = fc.oneof(
  fc.record({ topic, body, qos: fc.constantFrom(0, 1, 2), messageId: id }).map(
    ({ topic: name, body: payload, qos, messageId }) =>
      ({
        cmd: 'publish',
        topic: name,
        payload: Buffer.from(payload),
        qos,
        dup: false,
        retain: false,
        messageId,
      }) as Packet,
  ),
  fc
    .record({ topic, messageId: id })
    .map(
      ({ topic: name, messageId }) =>
        ({ cmd: 'subscribe', messageId, subscriptions: [{ topic: name, qos: 0 }] }) as Packet,
    ),
  fc
    .record({ topic, messageId: id })
    .map(
      ({ topic: name, messageId }) => ({ cmd: 'unsubscribe', messageId, unsubscriptions: [name] }) as Packet,
    ),
  id.map((messageId) => ({ cmd: 'puback', messageId }) as Packet),
  id.map((messageId) => ({ cmd: 'pubrel', messageId }) as Packet),
  fc.constant({ cmd: 'pingreq' } as Packet),
);

const COUNTED = new Set(['publish', 'subscribe', 'unsubscribe']);

/** The bytes as a client masks them. */
function masked(bytes: Buffer, key: number): Buffer {
  const mask = Buffer.alloc(4);
  mask.writeUInt32BE(key);
  return Buffer.from(bytes.map((byte, at) => byte ^ mask[at & 3]!));
}

/** Walks over the bytes in frames of these lengths, each read in two pieces. */
function countIn(packets: MqttPackets, bytes: Buffer, lengths: readonly number[], key: number): number {
  let counted = 0;
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = Math.min(lengths[turn % lengths.length]!, bytes.length - at);
    const frame = masked(bytes.subarray(at, at + length), key);
    const cut = length >> 1;
    const inside = Buffer.concat([Buffer.from('..'), frame]);
    counted += packets.walk(inside, 2, 2 + cut, key, 0);
    counted += packets.walk(inside, 2 + cut, inside.length, key, cut & 3);
    at += length;
  }
  return counted;
}

describe('the packets of an MQTT client', () => {
  it('are counted as mqtt-packet writes them, however they lie in frames and under any key', () => {
    fc.assert(
      fc.property(
        fc.array(packet, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (sent, lengths, key) => {
          const bytes = Buffer.concat(sent.map((each) => generate(each)));
          const packets = new MqttPackets();
          const expected = sent.filter(({ cmd }) => COUNTED.has(cmd)).length;
          assert.equal(countIn(packets, bytes, lengths, key), expected);
          assert.equal(packets.disconnected, false);
          countIn(packets, generate({ cmd: 'disconnect' }), [1], key);
          assert.equal(packets.disconnected, true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('do not pass for free where they are none: messages of another protocol count', () => {
    // As packets these would be a PUBCOMP of 32 bytes, and a CONNACK.
    for (const text of [`{ ${' '.repeat(30)} }`, `  ${'x'.repeat(32)}`]) {
      const packets = new MqttPackets();
      assert.equal(packets.walk(Buffer.from(text), 0, text.length), 1, text);
      assert.equal(packets.walk(Buffer.from(text), 0, text.length), 1, text);
    }
  });

  it('know how often the client connected', () => {
    const packets = new MqttPackets();
    const connect = generate({
      cmd: 'connect',
      clientId: 'c',
      protocolVersion: 4,
      clean: true,
      keepalive: 0,
    });
    packets.walk(Buffer.concat([connect, connect]), 0, 2 * connect.length);
    assert.equal(packets.connects, 2);
  });

  it('count one by one once a length makes no sense', () => {
    const packets = new MqttPackets();
    const bytes = Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x30, 0, 0x30, 0]);
    assert.equal(packets.walk(bytes, 0, bytes.length), 2);
    assert.equal(packets.walk(bytes, 0, bytes.length), 1);
  });

  it('are walked over in time that grows with their number, not with their size', () => {
    const packets = new MqttPackets();
    packets.walk(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]), 0, 5);
    const large = Buffer.alloc(65_536, 0x30);
    for (let read = 0; read < 4095; read++) assert.equal(packets.walk(large, 0, large.length), 0);
    assert.equal(packets.walk(large, 0, large.length), 1, 'one byte is left, the next packet');
  });
});
