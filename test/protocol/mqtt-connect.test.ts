import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generate, type IConnectPacket } from 'mqtt-packet';
import {
  assertBadConnect,
  connect,
  connectBody,
  field,
  greeting,
  packet,
  read,
  userProperty,
  varint,
} from './connect-packet.js';

const LEVELS = [3, 4, 5];
const FLAGS_AT = { 3: 2 + 2 + 6 + 1, 4: 2 + 2 + 4 + 1, 5: 2 + 2 + 4 + 1 } as const;

test('the hand-built packets of these tests are those that mqtt-packet builds', () => {
  const properties = Buffer.concat([Buffer.of(0x11, 0, 0, 0, 9), userProperty('a', 'b')]);
  assert.deepEqual(
    connect({ level: 5, properties, userName: 'u', password: 'p', will: { topic: 't', payload: 'w' } }),
    generate({
      cmd: 'connect',
      protocolVersion: 5,
      clientId: 'client-1',
      clean: true,
      keepalive: 60,
      username: 'u',
      password: Buffer.from('p'),
      will: { topic: 't', payload: Buffer.from('w'), qos: 0, retain: false },
      properties: { sessionExpiryInterval: 9, userProperties: { a: 'b' } },
    }),
  );
});

for (const [protocolId, protocolVersion] of [
  ['MQIsdp', 3],
  ['MQTT', 4],
  ['MQTT', 5],
] as const) {
  test(`what mqtt-packet generates for level ${protocolVersion} is read, with its token`, () => {
    const will = { topic: 'gone', payload: Buffer.from([0, 255]), qos: 2 as const, retain: true };
    for (const password of [undefined, 'token', 'x'.repeat(6000), 'x'.repeat(60_000)]) {
      for (const bridgeMode of protocolVersion === 5 ? [false] : [false, true]) {
        // mqtt-packet's types do not know bridgeMode, its generator does.
        const options: IConnectPacket & { bridgeMode: boolean } = {
          cmd: 'connect',
          protocolId,
          protocolVersion,
          bridgeMode,
          clientId: 'clïent',
          clean: true,
          keepalive: 65_535,
          username: 'ünser|user',
          ...(password === undefined ? {} : { password: Buffer.from(password) }),
          will,
        };
        const bytes = generate(options);
        assert.equal(greeting(bytes).token, password);
      }
    }
  });
}

test('a leading Bearer is taken off the password, nothing else is', () => {
  const tokenOf = (password: string) => greeting(connect({ userName: 'u', password })).token;
  assert.equal(tokenOf('Bearer a.b.c'), 'a.b.c');
  assert.equal(tokenOf('bearer a.b.c'), 'a.b.c');
  assert.equal(tokenOf(' a.b.c '), ' a.b.c ');
  assert.equal(tokenOf('Bearera.b.c'), 'Bearera.b.c');
  assert.equal(tokenOf('Basic a.b.c'), 'Basic a.b.c');
});

test('an empty password, or one that is only a scheme, is no token', () => {
  assert.equal(greeting(connect({ userName: 'u', password: '' })).token, undefined);
  assert.equal(greeting(connect({ userName: 'u', password: 'Bearer ' })).token, undefined);
  assert.equal(greeting(connect({ userName: 'u' })).token, undefined);
  assert.equal(greeting(connect({})).token, undefined);
});

test('the password is binary: one that is no UTF-8 makes no bad CONNECT, only a bad token', () => {
  const { token } = greeting(connect({ userName: 'u', password: Buffer.of(0xff, 0x00) }));
  assert.notEqual(token, undefined);
});

test('clean session is not taken for a will', () => {
  for (const level of LEVELS) {
    assert.equal(read(connect({ level, flags: 0x02 })).verdict, 'ready');
    assert.equal(read(connect({ level, flags: 0x00 })).verdict, 'ready');
  }
});

test('the reserved connect flag must be 0 [MQTT-3.1.2-3]', () => {
  for (const level of LEVELS) assertBadConnect(connect({ level, flags: 0x03 }), /reserved/);
});

test('will QoS and will retain need a will; QoS 3 does not exist', () => {
  const will = { topic: 't', payload: 'p' };
  for (const level of LEVELS) {
    for (const flags of [0x08, 0x10, 0x18, 0x20, 0x38]) assertBadConnect(connect({ level, flags }), /Will/);
    for (const flags of [0x1c, 0x3e]) assertBadConnect(connect({ level, flags, will }), /Will QoS is 3/);
    for (const flags of [0x04, 0x0c, 0x14, 0x24, 0x36]) {
      assert.equal(read(connect({ level, flags, will })).verdict, 'ready');
    }
  }
});

test('a password without a user name is illegal before MQTT 5.0 [MQTT-3.1.2-22] and legal in it', () => {
  assertBadConnect(connect({ level: 3, password: 'p' }), /without a user name/);
  assertBadConnect(connect({ level: 4, password: 'p' }), /without a user name/);
  assert.equal(greeting(connect({ level: 5, password: 'p' })).token, 'p');
});

test('every combination of the flags is accepted or refused as the rules say', () => {
  for (const level of LEVELS) {
    for (let flags = 0; flags < 256; flags++) {
      const hasWill = (flags & 0x04) !== 0;
      const qos = (flags >> 3) & 3;
      const isLegal =
        (flags & 0x01) === 0 &&
        qos !== 3 &&
        (hasWill || (flags & 0x38) === 0) &&
        (level === 5 || (flags & 0xc0) !== 0x40);
      const bytes = connect({
        level,
        flags,
        ...(hasWill ? { will: { topic: 't', payload: '' } } : {}),
        ...(flags & 0x80 ? { userName: 'u' } : {}),
        ...(flags & 0x40 ? { password: 'p' } : {}),
      });
      assert.equal(read(bytes).verdict, isLegal ? 'ready' : 'malformed', `level ${level}, flags ${flags}`);
    }
  }
});

test('a flag without its field is malformed: the field is not made up', () => {
  for (const level of [3, 4, 5] as const) {
    for (const flag of [0x04, 0x80, 0xc0]) {
      const bytes = connect({ level });
      bytes[FLAGS_AT[level]] = 0x02 | flag;
      assertBadConnect(bytes, /where 0 are left|bad length/);
    }
  }
});

test('a length past the end of the packet is malformed even when bytes follow the packet', () => {
  const bytes = connect({ userName: 'u', password: 'pass' });
  bytes.writeUInt16BE(5, bytes.length - 6);
  assertBadConnect(bytes, /Password wants 5 bytes where 4 are left/);
  assertBadConnect(Buffer.concat([bytes, Buffer.alloc(50, 0x61)]), /Password wants 5 bytes where 4 are left/);
});

test('bytes behind the last field are malformed', () => {
  for (const level of LEVELS) {
    assertBadConnect(connect({ level, trailing: Buffer.of(0) }), /1 bytes behind/);
    assertBadConnect(connect({ level, userName: 'u', trailing: field('p') }), /3 bytes behind/);
  }
});

test('every truncated body is malformed', () => {
  for (const level of LEVELS) {
    const body = connectBody({
      level,
      properties: userProperty('k', 'v'),
      will: { topic: 't', payload: 'p', properties: userProperty('k', 'v') },
      userName: 'u',
      password: 'p',
    });
    for (let length = 0; length < body.length; length++) {
      assert.equal(read(packet(body.subarray(0, length))).verdict, 'malformed', `${length} bytes`);
    }
  }
});

test('text that is not well-formed UTF-8, or holds U+0000, is refused wherever it stands', () => {
  const bad = {
    'overlong slash': Buffer.of(0xc0, 0xaf),
    'overlong NUL': Buffer.of(0xc0, 0x80),
    surrogate: Buffer.of(0xed, 0xa0, 0x80),
    'surrogate pair': Buffer.of(0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80),
    'above U+10FFFF': Buffer.of(0xf4, 0x90, 0x80, 0x80),
    'lone continuation': Buffer.of(0x80),
    'cut character': Buffer.of(0x61, 0xe2, 0x82),
    NUL: Buffer.from('a\0b'),
  };
  for (const [name, text] of Object.entries(bad)) {
    for (const level of LEVELS) {
      assertBadConnect(connect({ level, clientId: text }), /^Client Identifier/);
      assertBadConnect(connect({ level, will: { topic: text, payload: '' } }), /^Will Topic/);
      assertBadConnect(connect({ level, userName: text }), /^User Name/);
    }
    const properties = [
      userProperty(text, 'v'),
      userProperty('k', text),
      Buffer.concat([Buffer.of(0x15), field(text)]),
    ];
    for (const property of properties) {
      assertBadConnect(connect({ level: 5, properties: property }), /UTF-8|U\+0000/);
    }
    assert.equal(
      read(connect({ will: { topic: 't', payload: text } })).verdict,
      'ready',
      `${name} in a payload`,
    );
  }
});

test('text at the edges of Unicode is accepted, U+FEFF too', () => {
  const text = '\ufeff\u0001\u007f\ud7ff\ue000\uffff\u{10ffff}';
  for (const level of LEVELS) {
    assert.equal(read(connect({ level, clientId: text, userName: text })).verdict, 'ready');
  }
});

test('an empty client identifier is left to the broker', () => {
  for (const level of LEVELS) {
    assert.equal(read(connect({ level, clientId: '' })).verdict, 'ready');
    assert.equal(read(connect({ level, clientId: '', flags: 0 })).verdict, 'ready');
  }
});

test('the remaining length must be minimal in MQTT 5.0, in 3.1.1 it need not', () => {
  const padded = (level: number) => {
    const body = connectBody({ level });
    return Buffer.concat([Buffer.of(0x10, body.length | 0x80, 0x00), body]);
  };
  assertBadConnect(padded(5), /shortest/);
  assert.equal(read(padded(4)).verdict, 'ready');
  assert.equal(greeting(padded(4)).length, padded(4).length);
});

test('an unknown protocol level is answered: 1 in the old form, 0x84 in that of MQTT 5.0', () => {
  const old = '20020001';
  const new5 = '2003008400';
  const cases: [string, number, string][] = [
    ['MQTT', 0, old],
    ['MQTT', 3, old],
    ['MQTT', 0x83, old],
    ['MQTT', 6, new5],
    ['MQTT', 0x85, new5],
    ['MQTT', 0x7f, new5],
    ['MQTT', 0xff, new5],
    ['MQIsdp', 2, old],
    ['MQIsdp', 4, old],
    ['MQIsdp', 0x84, old],
  ];
  for (const [name, level, reply] of cases) {
    const result = read(connect({ name, level, userName: 'u', password: 'p' }));
    assert.ok(result.verdict === 'malformed', `${name} ${level}`);
    assert.equal(result.reason, 'badConnect');
    assert.equal(result.reply?.toString('hex'), reply, `${name} ${level}`);
  }
});

test('a refused client is told in the form of its version', () => {
  const told = (level: number, kind: 'authentication' | 'unavailable') =>
    greeting(connect({ level })).refusal(kind)?.toString('hex');
  for (const level of [3, 0x83, 4, 0x84]) {
    assert.equal(told(level, 'authentication'), '20020005');
    assert.equal(told(level, 'unavailable'), '20020003');
  }
  assert.equal(told(5, 'authentication'), '2003008700');
  assert.equal(told(5, 'unavailable'), '2003008800');
});

test('nothing a client sent is quoted in the reason for the log', () => {
  const secret = 'aaaa.bbbb.cccc';
  const bytes = connect({ userName: `${secret}\0`, password: secret });
  const result = read(bytes);
  assert.ok(result.verdict === 'malformed');
  assert.doesNotMatch(result.why, /aaaa/);
  const inflated = connect({ userName: 'u', password: secret, trailing: varint(9) });
  const other = read(inflated);
  assert.ok(other.verdict === 'malformed');
  assert.doesNotMatch(other.why, /aaaa/);
});
