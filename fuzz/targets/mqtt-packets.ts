import assert from 'node:assert/strict';
import { MqttPackets } from '../../internal/protocol/mqtt-packets.js';
import { MqttStream } from '../../internal/protocol/mqtt-stream.js';
import { cut } from '../cuts.js';
import type { Target } from '../target.js';

const CONNECT = 1;
const DISCONNECT = 14;
/** CONNECT, acknowledgements, PINGREQ, DISCONNECT, AUTH, with their flags: of PUBREL one, in MQTT 3.1 two. */
const FREE = [0x10, 0x40, 0x50, 0x62, 0x6a, 0x70, 0xc0, 0xe0, 0xf0];

/** The walk over a client's MQTT packets, masked and cut at will, held against what takes them apart. */
export const mqttPackets: Target = {
  name: 'mqtt-packets',
  maxBytes: 1_024,
  words: [
    '\x30\x00',
    '\x32\x80\x01',
    '\x82\x05',
    '\xa2\x05',
    '\xe0\x00',
    '\x10\x02',
    '\x30\xff\xff\xff\xff',
  ].map((word) => Buffer.from(word, 'latin1')),

  run(input, random) {
    const key = random.below(2) === 0 ? 0 : random.below(2 ** 32);
    const masked = Buffer.from(input.map((byte, at) => byte ^ ((key >>> (24 - 8 * (at & 3))) & 0xff)));
    const walker = new MqttPackets();
    let counted = 0;
    let at = 0;
    for (const { length } of cut(input, random)) {
      // Pieces of one frame: its key goes on where the piece before it ended.
      const count = walker.walk(masked, at, at + length, key, at & 3);
      assert.ok(count <= Math.max(1, length), 'no more packets than bytes');
      at += length;
      counted += count;
      if (walker.malformed) break;
    }
    const expected = packetsIn(input);
    assert.equal(walker.malformed, expected.malformed);
    assert.equal(counted, expected.counted);
    assert.equal(walker.connects, expected.connects);
    assert.equal(walker.disconnected, expected.disconnected);
    return `${walker.malformed} ${walker.disconnected} ${Math.min(walker.connects, 2)} ${Math.min(counted, 9)}`;
  },
};

function packetsIn(input: Buffer) {
  const stream = new MqttStream();
  let begins = true;
  const firsts: number[] = [];
  let malformed = false;
  for (const { start, end, ends } of stream.pieces(input)) {
    if (begins) firsts.push(input.readUInt8(start));
    begins = ends;
    // Four bytes of length that announce a fifth.
    malformed ||= end - start >= 5 && input.subarray(start + 1, start + 5).every((byte) => byte >= 0x80);
  }
  const counted = firsts.filter((first) => !FREE.includes(first)).length + (malformed ? 1 : 0);
  const types = firsts.map((first) => first >>> 4);
  const connects = types.filter((type) => type === CONNECT).length;
  return { malformed, counted, connects, disconnected: types.includes(DISCONNECT) };
}
