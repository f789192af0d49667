import assert from 'node:assert/strict';
import { type IConnectPacket, type Packet, parser } from 'mqtt-packet';
import { mqtt } from '../../internal/protocol/mqtt.js';
import type { FirstBytes } from '../../internal/protocol/protocol.js';
import { beginnings } from '../cuts.js';
import type { Target } from '../target.js';

const LIMIT_BYTES = 1_024;

/** The first packet of an MQTT client, held against mqtt-packet. */
export const mqttConnect: Target = {
  name: 'mqtt-connect',
  maxBytes: 2 * LIMIT_BYTES,
  words: [
    '\0\x04MQTT\x04',
    '\0\x04MQTT\x05',
    '\0\x06MQIsdp\x03',
    '\x10\xff\xff\xff\x7f',
    '\x10\x80\x00',
    '\x15\0\x03jwt\x16\0\x03a.b',
    '\x26\0\x05roles\0\x01x',
    '\x27\0\0\0\x01',
    '\x21\0\x01',
    '\0\x0cBearer a.b.c',
  ].map((word) => Buffer.from(word, 'latin1')),

  run(input, random) {
    const last = mqtt.read(input, LIMIT_BYTES);
    // What has been decided stays so, whatever comes behind it.
    for (const beginning of beginnings(input, random)) {
      const early = mqtt.read(beginning, LIMIT_BYTES);
      if (early.verdict !== 'more') assert.deepEqual(gist(early), gist(last), 'a cut changes the verdict');
    }
    if (last.verdict !== 'malformed' || last.reason === 'badConnect') agreesWithReference(last, input);
    if (last.verdict !== 'ready') return last.verdict === 'more' ? 'more' : last.why.replaceAll(/\d+/g, 'N');
    const { greeting } = last;
    assert.ok(greeting.length <= Math.min(input.length, LIMIT_BYTES), 'the packet ends in what has come');
    assert.equal(mqtt.sniff(input), 'match');
    assert.equal(greeting.withRoles(['r'], 'none'), undefined);
    for (const mode of ['username', 'user-property'] as const) rolesAreIn(input, greeting.length, mode);
    return `ready ${greeting.renewalMethod} ${greeting.tokenPlace} ${greeting.token === undefined}`;
  },
};

function gist(result: FirstBytes): unknown {
  if (result.verdict !== 'ready') return result;
  const { token, tokenPlace, length, renewalMethod } = result.greeting;
  return { token, tokenPlace, length, renewalMethod };
}

/** With roles a CONNECT is as good as before, and what comes of putting them in again is the same. */
function rolesAreIn(input: Buffer, length: number, mode: 'username' | 'user-property'): void {
  const before = mqtt.read(input.subarray(0, length), LIMIT_BYTES);
  assert.ok(before.verdict === 'ready', 'a packet is read by itself as with what follows it');
  const changed = before.greeting.withRoles(['r', 'a,b'], mode);
  if (changed === undefined) return;
  const after = mqtt.read(changed, changed.length);
  assert.ok(after.verdict === 'ready', 'with roles it is well-formed');
  assert.equal(after.greeting.token, before.greeting.token);
  assert.deepEqual(after.greeting.withRoles(['r', 'a,b'], mode), changed);
  if (mode === 'username') assert.match(String(reference(changed)?.username), /\|r,a%2Cb$/);
}

/**
 * Why a packet is refused that mqtt-packet lets pass: it does not check text, trailing bytes, the ends of
 * sections, doubled or misplaced properties and their values, passwords without a user name, will QoS 3,
 * shortest forms, and which level goes with which name.
 */
const STRICTER = new RegExp(
  [
    'UTF-8',
    'U\\+0000',
    'behind the last field',
    'where \\d+ are left',
    'bad length',
    'twice',
    'no property',
    'without Authentication Method',
    'neither 0 nor 1',
    'is 0',
    'without a user name',
    'Will QoS is 3',
    'shortest form',
    'protocol level',
  ].join('|'),
);

/** Holds what was read against mqtt-packet. @param bytes that it was read from. */
export function agreesWithReference(result: FirstBytes, bytes: Buffer): void {
  if (result.verdict === 'more') return;
  if (result.verdict === 'malformed') {
    assert.match(result.reason, /^(badConnect|messageTooBig)$/);
    if (result.reason === 'badConnect' && reference(bytes) !== undefined) assert.match(result.why, STRICTER);
    return;
  }
  const { token, tokenPlace, length } = result.greeting;
  const other = reference(bytes.subarray(0, length));
  assert.ok(other !== undefined, 'mqtt-packet refuses a packet that was found well-formed');
  assert.equal(other.length, length - 1 - lengthBytes(bytes));
  const text = tokenPlace === undefined ? other.password : other.properties?.authenticationData;
  const expected = text?.toString().replace(/^Bearer +/i, '');
  assert.equal(token, expected === '' ? undefined : expected);
}

/** The CONNECT that mqtt-packet finds at the start of `bytes`; undefined: none, or it refuses them. */
export function reference(bytes: Buffer): IConnectPacket | undefined {
  const found: Packet[] = [];
  let isRefused = false;
  const other = parser();
  other.on('packet', (one) => found.push(one));
  other.on('error', () => {
    isRefused = true;
  });
  try {
    other.parse(bytes);
  } catch {
    isRefused = true;
  }
  return isRefused || found[0]?.cmd !== 'connect' ? undefined : found[0];
}

function lengthBytes(bytes: Buffer): number {
  return bytes.subarray(1, 5).findIndex((byte) => byte < 0x80) + 1;
}
