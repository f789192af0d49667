import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mqtt } from '../../internal/protocol/mqtt.js';
import { connect, read } from './connect-packet.js';

const VERSIONS = [
  ['3.1', 3],
  ['3.1 of a bridge', 0x83],
  ['3.1.1', 4],
  ['3.1.1 of a bridge', 0x84],
  ['5.0', 5],
] as const;

for (const [version, level] of VERSIONS) {
  test(`a CONNECT of MQTT ${version} is recognised once its protocol name is there, not before`, () => {
    const bytes = connect({ level, userName: 'u', password: 'p' });
    const nameEnd = 2 + 2 + (bytes[3] ?? 0);
    for (let length = 0; length <= bytes.length; length++) {
      assert.equal(
        mqtt.sniff(bytes.subarray(0, length)),
        length < nameEnd ? 'more' : 'match',
        `${length} bytes`,
      );
    }
  });

  test(`a CONNECT of MQTT ${version} is read at its last byte, not before`, () => {
    const bytes = connect({ level, userName: 'u', password: 'secret' });
    for (let length = 0; length < bytes.length; length++) {
      assert.deepEqual(read(bytes.subarray(0, length)), { verdict: 'more' }, `${length} bytes`);
    }
    const result = read(bytes);
    assert.ok(result.verdict === 'ready');
    assert.equal(result.greeting.token, 'secret');
    assert.equal(result.greeting.length, bytes.length);
    assert.equal(result.greeting.consumed, false);
  });
}

test('a packet of another type, or flags in the first byte, is told from MQTT at the first byte', () => {
  for (let first = 0; first < 256; first++) {
    assert.equal(mqtt.sniff(Buffer.of(first)), first === 0x10 ? 'more' : 'no', `first byte ${first}`);
  }
});

test('a raw message that starts as a CONNECT does is told from MQTT at the first byte that differs', () => {
  const cases: [string, number[]][] = [
    ['length too short for any CONNECT', [0x10, 0x00]],
    ['length that ends within the name', [0x10, 0x06]],
    ['protocol name of 5 bytes', [0x10, 0x20, 0x00, 0x05]],
    ['protocol name of 1 KB', [0x10, 0x20, 0x04]],
    ['length of MQTT, name of MQIsdp', [0x10, 0x20, 0x00, 0x04, 0x4d, 0x51, 0x49]],
    ['lower case', [0x10, 0x20, 0x00, 0x04, 0x6d]],
    ['DLE and text', [0x10, 0x7b, 0x22]],
    ['protobuf that starts with 0x10', [0x10, 0x96, 0x01, 0x1a]],
  ];
  for (const [name, bytes] of cases) {
    assert.equal(mqtt.sniff(Buffer.from(bytes)), 'no', name);
    assert.notEqual(mqtt.sniff(Buffer.from(bytes.slice(0, -1))), 'no', `${name}, one byte less`);
  }
});

test('a remaining length of five bytes is no MQTT, and a bad CONNECT where MQTT was negotiated', () => {
  const bytes = Buffer.of(0x10, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00, 0x04);
  assert.equal(mqtt.sniff(bytes.subarray(0, 4)), 'more');
  assert.equal(mqtt.sniff(bytes.subarray(0, 5)), 'no');
  const result = read(bytes.subarray(0, 5));
  assert.ok(result.verdict === 'malformed');
  assert.equal(result.reason, 'badConnect');
});

test('a length of 268,435,455 with 10 bytes sent is refused at once as too big', () => {
  const start = Buffer.concat([Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f), Buffer.from('\x00\x04MQT')]);
  assert.equal(start.length, 10);
  for (let length = 5; length <= 10; length++) {
    const result = read(start.subarray(0, length));
    assert.ok(result.verdict === 'malformed', `${length} bytes`);
    assert.equal(result.reason, 'messageTooBig');
    assert.equal(result.reply, undefined);
  }
});

test('the limit counts the whole packet and is allowed itself', () => {
  const bytes = connect({ clientId: 'c'.repeat(500) });
  assert.equal(read(bytes, bytes.length).verdict, 'ready');
  const result = read(bytes.subarray(0, 3), bytes.length - 1);
  assert.ok(result.verdict === 'malformed');
  assert.equal(result.reason, 'messageTooBig');
});

test('packets pipelined behind the CONNECT are not part of the greeting', () => {
  const bytes = connect({ userName: 'u', password: 'p' });
  const more = Buffer.concat([bytes, Buffer.of(0xc0, 0x00, 0xe0, 0x00), Buffer.alloc(100_000, 0xff)]);
  const result = read(more);
  assert.ok(result.verdict === 'ready');
  assert.equal(result.greeting.length, bytes.length);
});

test('where MQTT was negotiated, what cannot be a CONNECT is refused at its first byte', () => {
  for (const bytes of [Buffer.from('{'), Buffer.of(0xc0, 0x00), Buffer.of(0x11), Buffer.of(0x00)]) {
    const result = read(bytes);
    assert.ok(result.verdict === 'malformed');
    assert.equal(result.reason, 'badConnect');
    assert.equal(result.reply, undefined);
  }
});

test('a packet that arrives in steps of one byte, in a fresh buffer each, becomes ready once', () => {
  const bytes = connect({ level: 5, userName: 'u', password: 'x'.repeat(300) });
  let received = Buffer.alloc(0);
  const verdicts = [...bytes].map((byte) => {
    received = Buffer.concat([received, Buffer.of(byte)]);
    return read(received).verdict;
  });
  assert.equal(verdicts.filter((verdict) => verdict === 'more').length, bytes.length - 1);
  assert.equal(verdicts.at(-1), 'ready');
});
