import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mqtt } from '../../../internal/protocol/mqtt.js';
import { raw } from '../../../internal/protocol/raw.js';
import { stomp } from '../../../internal/protocol/stomp.js';
import { FirstBytesReader } from '../../../internal/session/opening/first-bytes.js';
import { connectBody, packet } from '../../protocol/connect-packet.js';

const CONNECT = packet(connectBody({ userName: 'u', password: 'a.b.c' }));
const LIMIT_BYTES = 65_536;

describe('a client\u2019s first bytes', () => {
  it('that are a CONNECT are recognised at every split, and nothing is lost of what follows', () => {
    const following = Buffer.from('c00082', 'hex');
    const whole = Buffer.concat([CONNECT, following]);
    for (let at = 1; at < CONNECT.length; at++) {
      const reader = new FirstBytesReader(undefined, undefined, LIMIT_BYTES);
      assert.equal(reader.add(whole.subarray(0, at), true).verdict, 'more', `${at}`);
      const outcome = reader.add(whole.subarray(at), true);
      assert.ok(outcome.verdict === 'ready', `${at}`);
      assert.equal(outcome.adapter, mqtt);
      assert.equal(outcome.greeting.token, 'a.b.c');
      assert.equal(outcome.greeting.length, CONNECT.length);
      assert.deepEqual(outcome.bytes, whole);
    }
  });

  it('may come one by one, and with empty messages between', () => {
    const reader = new FirstBytesReader(undefined, undefined, LIMIT_BYTES);
    for (const byte of CONNECT.subarray(0, -1)) {
      assert.equal(reader.add(Buffer.of(byte), true).verdict, 'more');
      assert.equal(reader.add(Buffer.alloc(0), true).verdict, 'more');
    }
    assert.equal(reader.add(CONNECT.subarray(-1), true).verdict, 'ready');
  });

  it('may not be empty messages without end', () => {
    const reader = new FirstBytesReader(undefined, undefined, 1000);
    for (let count = 0; count < 1000; count++)
      assert.equal(reader.add(Buffer.alloc(0), true).verdict, 'more');
    const outcome = reader.add(Buffer.alloc(0), true);
    assert.deepEqual([outcome.verdict, 'reason' in outcome && outcome.reason], ['refused', 'messageTooBig']);
  });

  it('cost linear time, however small the messages are in which they come', () => {
    for (const [name, adapter, bytes, isBinary] of [
      ['heart-beats before a CONNECT of STOMP', stomp, Buffer.alloc(65_000, '\n'), false],
      ['a CONNECT of STOMP', stomp, Buffer.alloc(65_000, 'CONNECT\n'), false],
      [
        'a CONNECT of MQTT',
        undefined,
        packet(connectBody({ userName: 'u', password: 'p'.repeat(65_000) })),
        true,
      ],
    ] as const) {
      const takeMs = (count: number): number => {
        const reader = new FirstBytesReader(adapter, undefined, LIMIT_BYTES);
        const before = process.cpuUsage();
        for (let at = 0; at < count; at++)
          assert.equal(reader.add(bytes.subarray(at, at + 1), isBinary).verdict, 'more');
        const { user, system } = process.cpuUsage(before);
        return (user + system) / 1000;
      };
      // The first round warms up; of CPU time, the least is what it takes.
      const least = (count: number) => Math.min(...[1, 2, 3].map(() => takeMs(count)));
      const few = least(6500);
      const many = least(65_000);
      assert.ok(many < 40 * Math.max(1, few), `${name}: ${few} ms for 6,500 messages, ${many} ms for 65,000`);
    }
  });

  it('are copied', () => {
    const reader = new FirstBytesReader(undefined, undefined, LIMIT_BYTES);
    const lent = Buffer.from(CONNECT.subarray(0, 10));
    reader.add(lent, true);
    lent.fill(0xff);
    assert.equal(reader.add(CONNECT.subarray(10), true).verdict, 'ready');
  });

  it('that are no CONNECT are a raw client\u2019s first message', () => {
    for (const isBinary of [true, false]) {
      const outcome = new FirstBytesReader(undefined, undefined, LIMIT_BYTES).add(
        Buffer.from('a.b.c'),
        isBinary,
      );
      assert.ok(outcome.verdict === 'ready');
      assert.equal(outcome.adapter, raw);
      assert.equal(outcome.greeting.token, 'a.b.c');
      assert.equal(outcome.greeting.consumed, true);
    }
  });

  it('in text are never MQTT', () => {
    const asText = new FirstBytesReader(undefined, undefined, LIMIT_BYTES).add(CONNECT, false);
    assert.deepEqual([asText.verdict, 'reason' in asText && asText.reason], ['refused', 'mqttTextFrame']);
    const negotiated = new FirstBytesReader(mqtt, 'mqtt', LIMIT_BYTES).add(Buffer.from('a.b.c'), false);
    assert.deepEqual(
      [negotiated.verdict, 'reason' in negotiated && negotiated.reason],
      ['refused', 'mqttTextFrame'],
    );
    const split = new FirstBytesReader(undefined, undefined, LIMIT_BYTES);
    split.add(CONNECT.subarray(0, 12), true);
    const second = split.add(CONNECT.subarray(12), false);
    assert.deepEqual([second.verdict, 'reason' in second && second.reason], ['refused', 'mqttTextFrame']);
  });

  it('after MQTT was negotiated are MQTT or refused', () => {
    const outcome = new FirstBytesReader(mqtt, 'mqtt', LIMIT_BYTES).add(Buffer.from('eyJ.b.c'), true);
    assert.deepEqual([outcome.verdict, 'reason' in outcome && outcome.reason], ['refused', 'badConnect']);
  });

  it('are bounded: exactly the limit is taken', () => {
    const reader = new FirstBytesReader(mqtt, 'mqtt', CONNECT.length);
    assert.equal(reader.add(CONNECT, true).verdict, 'ready');
    for (const [limit, pieces] of [
      [CONNECT.length - 1, [CONNECT]],
      [20, [CONNECT.subarray(0, 20), CONNECT.subarray(20)]],
      [100, [Buffer.alloc(101)]],
    ] as const) {
      const small = new FirstBytesReader(undefined, undefined, limit);
      const outcomes = pieces.map((piece) => small.add(piece, true));
      const last = outcomes.at(-1);
      assert.ok(last?.verdict === 'refused', `${limit}`);
      assert.equal(last.reason, 'messageTooBig');
    }
  });
});
