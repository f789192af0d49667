import assert from 'node:assert/strict';
import { generate, type Packet, parser } from 'mqtt-packet';
import { AUTH, CONNACK, connackWithMethod, readReauthentication } from '../../internal/protocol/mqtt-auth.js';
import { MqttStream } from '../../internal/protocol/mqtt-stream.js';
import { cut } from '../cuts.js';
import { kindBy, type Target } from '../target.js';

const METHOD = 'jwt';
const VERSION = { protocolVersion: 5 } as const;

/** A new token in a session: the client's AUTH, the broker's CONNACK, and where each packet ends. */
export const mqttAuth: Target = {
  name: 'mqtt-auth',
  maxBytes: 1_024,
  words: [
    '\xf0\x13\x19\x11\x15\0\x03jwt\x16\0\x05a.b.c',
    '\x20\x03\0\0\0',
    '\x20\x06\0\0\x03\x21\0\x09',
    '\x15\0\x03jwt',
  ].map((word) => Buffer.from(word, 'latin1')),

  run(input, random) {
    const packets = packetsIn([input]);
    assert.deepEqual(packetsIn(cut(input, random)), packets, 'a cut changes where packets end');
    assert.ok(input.indexOf(Buffer.concat(packets)) === 0, 'pieces are what came, without gaps');
    const kinds = packets.map((packet) => {
      const type = (packet[0] ?? 0) >>> 4;
      if (type === AUTH) return `AUTH ${typeof readReauthentication(packet, METHOD)}`;
      if (type !== CONNACK) return '';
      const changed = connackWithMethod(packet, METHOD);
      if (changed === packet) return 'CONNACK as it came';
      assert.deepEqual(packetsIn([changed]), [changed], 'a changed CONNACK is one packet');
      const before = connack(packet);
      if (before === undefined) return 'CONNACK of another kind';
      const after = connack(changed);
      assert.equal(after?.reasonCode, before.reasonCode);
      assert.equal(after?.sessionPresent, before.sessionPresent);
      return 'CONNACK with the method';
    });
    return kindBy(kinds);
  },
};

/** Whole packets only. */
function packetsIn(reads: readonly Buffer[]): readonly Buffer[] {
  const stream = new MqttStream();
  const packets: Buffer[] = [];
  let pieces: Buffer[] = [];
  for (const read of reads)
    for (const { start, end, ends } of stream.pieces(read)) {
      pieces.push(read.subarray(start, end));
      if (!ends) continue;
      packets.push(Buffer.concat(pieces));
      pieces = [];
    }
  return packets;
}

/** What mqtt-packet reads and would write again as it came; all else it reads past the ends of sections. */
function connack(packet: Buffer): Extract<Packet, { cmd: 'connack' }> | undefined {
  let found: Packet | undefined;
  const reader = parser(VERSION);
  reader.on('packet', (one) => {
    found = one;
  });
  reader.on('error', () => {});
  try {
    reader.parse(packet);
    return found?.cmd === 'connack' && generate(found, VERSION).equals(packet) ? found : undefined;
  } catch {
    return undefined;
  }
}
