import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { generate, type IConnackPacket, type Packet, parser } from 'mqtt-packet';
import {
  connackWithMethod,
  readReauthentication,
  reauthenticated,
} from '../../internal/protocol/mqtt-auth.js';
import { MqttStream } from '../../internal/protocol/mqtt-stream.js';
import { connectPacket } from '../support/protocols/mqtt-packets.js';
import { greeting } from './connect-packet.js';

const VERSION = { protocolVersion: 5 } as const;

function read(packet: Buffer): Packet {
  const found: Packet[] = [];
  const reader = parser(VERSION);
  reader.on('packet', (each) => found.push(each));
  assert.equal(reader.parse(packet), 0, 'one whole packet');
  return found[0] ?? assert.fail('no packet');
}

describe('a stream of packets', () => {
  const anyPacket = fc
    .record({ type: fc.integer({ min: 1, max: 15 }), body: fc.uint8Array({ maxLength: 300 }) })
    .map(({ type, body }) => {
      const { length } = body;
      const bytes = length < 128 ? [length] : [(length % 128) | 0x80, length >> 7];
      return { type, bytes: Buffer.concat([Buffer.of(type << 4, ...bytes), body]) };
    });

  it('is taken apart at its boundaries, however it lies in messages', () => {
    fc.assert(
      fc.property(fc.array(anyPacket, { maxLength: 8 }), fc.infiniteStream(fc.nat(40)), (packets, cuts) => {
        const bytes = Buffer.concat(packets.map((packet) => packet.bytes));
        const stream = new MqttStream();
        const found: { type: number; bytes: Buffer }[] = [];
        let open: Buffer[] = [];
        for (let at = 0; at < bytes.length; ) {
          const message = bytes.subarray(at, at + 1 + Number(cuts.next().value));
          let reached = 0;
          for (const { type, start, end, ends } of stream.pieces(message)) {
            assert.equal(start, reached);
            reached = end;
            open.push(message.subarray(start, end));
            if (!ends) continue;
            found.push({ type, bytes: Buffer.concat(open) });
            open = [];
          }
          assert.equal(reached, message.length);
          at += message.length;
        }
        assert.ok(stream.between);
        assert.deepEqual(found, packets);
      }),
    );
  });

  it('has no boundary any more behind a length that does not end', () => {
    const stream = new MqttStream();
    const bytes = Buffer.concat([Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff), Buffer.alloc(1_000)]);
    assert.deepEqual([...stream.pieces(bytes)], [{ type: 3, start: 0, end: 1_005, ends: false }]);
    assert.ok(!stream.between);
  });
});

describe('AUTH', () => {
  const auth = (properties: object, reasonCode = 0x19) =>
    generate({ cmd: 'auth', reasonCode, properties }, VERSION);
  const DATA = { authenticationData: Buffer.from('token') };

  it('asks to go on under its data, by the method of CONNECT to the letter', () => {
    assert.equal(readReauthentication(auth({ authenticationMethod: 'JWT', ...DATA }), 'JWT'), 'token');
    const twice = auth({ authenticationMethod: 'jwt', ...DATA });
    const method = twice.subarray(4, 10);
    const doubled = Buffer.concat([Buffer.of(0xf0, twice.length + 4), twice.subarray(2, 3)]);
    const withTwo = Buffer.concat([doubled, Buffer.of(twice.length - 4 + 6), method, twice.subarray(4)]);
    for (const packet of [
      auth({ authenticationMethod: 'jwt', ...DATA }),
      auth(DATA),
      auth({ authenticationMethod: 'JWT' }),
      auth({ authenticationMethod: 'JWT', ...DATA }, 0x18),
      auth({ authenticationMethod: 'JWT', ...DATA }, 0x00),
      withTwo,
      Buffer.of(0xf0, 0),
      Buffer.of(0xe0, 0),
      Buffer.alloc(0),
    ])
      assert.equal(readReauthentication(packet, 'JWT'), undefined, packet.toString('hex'));
  });

  it('of any bytes never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        readReauthentication(Buffer.concat([Buffer.of(0xf0, bytes.length), bytes]), 'jwt');
      }),
    );
  });

  it('is answered with the method', () => {
    const packet = read(reauthenticated('Jwt'));
    assert.ok(packet.cmd === 'auth');
    assert.deepEqual([packet.reasonCode, { ...packet.properties }], [0, { authenticationMethod: 'Jwt' }]);
  });
});

describe('CONNACK', () => {
  const connack = (own: Partial<IConnackPacket>) =>
    generate({ cmd: 'connack', reasonCode: 0, sessionPresent: false, ...own }, VERSION);

  it('carries the method beside all that the broker says', () => {
    const properties = { receiveMaximum: 7, assignedClientIdentifier: 'c'.repeat(200), serverKeepAlive: 5 };
    for (const own of [{}, { sessionPresent: true }, { properties }]) {
      const packet = read(connackWithMethod(connack(own), 'jwt'));
      assert.ok(packet.cmd === 'connack');
      const expected = { ...('properties' in own ? own.properties : {}), authenticationMethod: 'jwt' };
      assert.deepEqual({ ...packet.properties }, expected);
      assert.equal(packet.sessionPresent, own.sessionPresent ?? false);
    }
  });

  it('stays as it is when it refuses, is of an earlier version, or malformed', () => {
    for (const packet of [
      connack({ reasonCode: 0x87 }),
      Buffer.of(0x20, 2, 0, 1),
      Buffer.of(0x20, 3, 0, 0, 5),
      Buffer.of(0x30, 3, 0, 0, 0),
      Buffer.of(0x20),
    ])
      assert.equal(connackWithMethod(packet, 'jwt'), packet);
  });
});

describe('CONNECT with the authentication method jwt', () => {
  const properties = {
    sessionExpiryInterval: 9,
    authenticationMethod: 'JWT',
    authenticationData: Buffer.from('Bearer token'),
    userProperties: { roles: 'forged', colour: 'blue' },
  };
  const connect = (own = {}) =>
    greeting(connectPacket({ ...VERSION, username: 'u', password: Buffer.from('p'), properties, ...own }));

  it('holds its token there, before the password', () => {
    const { token, tokenPlace, renewalMethod } = connect();
    assert.deepEqual([token, tokenPlace, renewalMethod], ['token', 'MQTT authentication data', 'JWT']);
    const without = connect({ properties: { authenticationMethod: 'jwt' } });
    assert.deepEqual([without.token, without.tokenPlace, without.renewalMethod], ['p', undefined, 'jwt']);
    const other = connect({ properties: { ...properties, authenticationMethod: 'jwt2' } });
    assert.deepEqual([other.token, other.renewalMethod], ['p', undefined]);
  });

  it('loses both properties on the way, with or without roles', () => {
    const propertiesOf = (bytes: Buffer | undefined) => {
      const packet = read(bytes ?? assert.fail('unchanged'));
      assert.ok(packet.cmd === 'connect');
      assert.equal(packet.password?.toString(), 'p');
      return { ...packet.properties, userProperties: { ...packet.properties?.userProperties } };
    };
    const sessionExpiryInterval = 9;
    assert.deepEqual(propertiesOf(connect().withRoles([], 'none', true)), {
      sessionExpiryInterval,
      userProperties: { roles: 'forged', colour: 'blue' },
    });
    assert.deepEqual(propertiesOf(connect().withRoles(['a'], 'user-property', true)), {
      sessionExpiryInterval,
      userProperties: { roles: 'a', colour: 'blue' },
    });
    assert.deepEqual(propertiesOf(connect().withRoles(['a'], 'username', true)), {
      sessionExpiryInterval,
      userProperties: { colour: 'blue' },
    });
    assert.equal(connect().withRoles([], 'none'), undefined);
  });
});
