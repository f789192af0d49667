import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertBadConnect,
  connect,
  connectBody,
  field,
  packet,
  read,
  userProperty,
} from './connect-packet.js';

const CONNECT_PROPERTIES: [number, Buffer][] = [
  [0x11, Buffer.of(0, 0, 0, 0)],
  [0x15, field('SCRAM')],
  [0x17, Buffer.of(1)],
  [0x19, Buffer.of(0)],
  [0x21, Buffer.of(0, 1)],
  [0x22, Buffer.of(0, 0)],
  [0x27, Buffer.of(0, 0, 0, 1)],
];
const WILL_PROPERTIES: [number, Buffer][] = [
  [0x01, Buffer.of(1)],
  [0x02, Buffer.of(0, 0, 0, 0)],
  [0x03, field('text/plain')],
  [0x08, field('answers')],
  [0x09, field(Buffer.of(0, 255))],
  [0x18, Buffer.of(0, 0, 0, 0)],
];
const METHOD = Buffer.concat([Buffer.of(0x15), field('SCRAM')]);
const DATA = Buffer.concat([Buffer.of(0x16), field(Buffer.of(0, 255))]);

const property = (id: number, value: Buffer) => Buffer.concat([Buffer.of(id), value]);
const inConnect = (...properties: Buffer[]) => connect({ level: 5, properties: Buffer.concat(properties) });
const inWill = (...properties: Buffer[]) =>
  connect({ level: 5, will: { topic: 't', payload: 'p', properties: Buffer.concat(properties) } });

test('every property of a CONNECT and of a will is accepted where it belongs', () => {
  const all = CONNECT_PROPERTIES.map(([id, value]) => property(id, value));
  assert.equal(read(inConnect(...all, DATA, userProperty('a', ''))).verdict, 'ready');
  assert.equal(
    read(inWill(...WILL_PROPERTIES.map(([id, value]) => property(id, value)), userProperty('', 'b'))).verdict,
    'ready',
  );
});

test('any other identifier is refused, and those of a will in the CONNECT, and the other way round', () => {
  const known = new Set([0x16, 0x26, ...CONNECT_PROPERTIES.map(([id]) => id)]);
  const knownInWill = new Set([0x26, ...WILL_PROPERTIES.map(([id]) => id)]);
  for (let id = 0; id < 256; id++) {
    const value = Buffer.alloc(8);
    if (!known.has(id)) assertBadConnect(inConnect(property(id, value)), /no property/);
    if (!knownInWill.has(id)) assertBadConnect(inWill(property(id, value)), /no property/);
  }
});

test('a property that comes twice is refused, a User Property is not', () => {
  for (const [id, value] of CONNECT_PROPERTIES) {
    assertBadConnect(inConnect(property(id, value), userProperty('a', 'b'), property(id, value)), /twice/);
  }
  for (const [id, value] of WILL_PROPERTIES) {
    assertBadConnect(inWill(property(id, value), property(id, value)), /twice/);
  }
  assertBadConnect(inConnect(METHOD, DATA, DATA), /twice/);
  assert.equal(read(inConnect(userProperty('a', 'b'), userProperty('a', 'b'))).verdict, 'ready');
});

test('authentication data needs a method, before or behind it', () => {
  assertBadConnect(inConnect(DATA), /without Authentication Method/);
  assert.equal(read(inConnect(DATA, METHOD)).verdict, 'ready');
  assert.equal(read(inConnect(METHOD)).verdict, 'ready');
});

test('values that the specification forbids are refused', () => {
  assertBadConnect(inConnect(property(0x17, Buffer.of(2))), /neither 0 nor 1/);
  assertBadConnect(inConnect(property(0x19, Buffer.of(255))), /neither 0 nor 1/);
  assertBadConnect(inConnect(property(0x21, Buffer.of(0, 0))), /is 0/);
  assertBadConnect(inConnect(property(0x27, Buffer.of(0, 0, 0, 0))), /is 0/);
  assertBadConnect(inWill(property(0x01, Buffer.of(2))), /neither 0 nor 1/);
});

test('a property that reaches beyond its section is refused though the packet goes on', () => {
  for (const [id, value] of CONNECT_PROPERTIES) {
    assertBadConnect(inConnect(property(id, value).subarray(0, -1)), /where \d are left/);
  }
  for (const [id, value] of WILL_PROPERTIES) {
    assertBadConnect(inWill(property(id, value).subarray(0, -1)), /where \d are left/);
  }
  assertBadConnect(inConnect(userProperty('key', 'value').subarray(0, -1)), /where 4 are left/);
});

/** A body whose (empty) properties section, at a fixed place, is replaced. */
function withSection(bytes: number[]): Buffer {
  const body = connectBody({ level: 5 });
  const at = 2 + 4 + 1 + 1 + 2;
  return packet(Buffer.concat([body.subarray(0, at), Buffer.from(bytes), body.subarray(at + 1)]));
}

test('the length of a section is checked: past the end, not minimal, five bytes, cut off', () => {
  assertBadConnect(withSection([0x7f]), /wants 127 bytes/);
  assertBadConnect(withSection([0xff, 0xff, 0xff, 0x7f]), /wants 268435455 bytes/);
  assertBadConnect(withSection([0x80, 0x00]), /shortest/);
  assertBadConnect(withSection([0x80, 0x80, 0x80, 0x80, 0x00]), /bad length/);
  const cut = packet(Buffer.concat([connectBody({ level: 5 }).subarray(0, 10), Buffer.of(0x80)]));
  assertBadConnect(cut, /bad length/);
  // What follows the packet must not be taken for the rest of the length.
  assertBadConnect(Buffer.concat([cut, Buffer.of(0x01, 0x00)]), /bad length/);
});

test('reading a section takes time in proportion to its User Properties', () => {
  const cost = (count: number) => {
    const bytes = inConnect(...Array.from({ length: count }, (_, index) => userProperty(`k${index}`, 'v')));
    // CPU time: what else the machine does meanwhile says nothing about the reading.
    const start = process.cpuUsage();
    for (let round = 0; round < 5; round++) assert.equal(read(bytes, bytes.length).verdict, 'ready');
    const { user, system } = process.cpuUsage(start);
    return user + system;
  };
  cost(10_000);
  const small = Math.min(cost(10_000), cost(10_000), cost(10_000));
  const large = Math.min(cost(100_000), cost(100_000), cost(100_000));
  // Ten times as many: quadratic work would take a hundred times as long.
  assert.ok(large < small * 50, `10k took ${small} µs, 100k took ${large} µs`);
});
