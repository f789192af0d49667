import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withRoles } from '../../internal/protocol/mqtt-roles.js';
import { MAX_VARINT } from '../../internal/protocol/mqtt-varint.js';
import { claimText, roleList } from '../../internal/request/claim-text.js';
import { connect, field, greeting, userProperty } from './connect-packet.js';

const FORGED = userProperty('roles', 'admin');
const WILL = { topic: 'gone', payload: 'bye' };

const injected = (
  parts: Parameters<typeof connect>[0],
  mode: 'user-property' | 'username',
  ...roles: string[]
) => greeting(connect(parts)).withRoles(roles, mode);

test('mode none leaves the bytes alone, a forged property too', () => {
  for (const level of [3, 4, 5]) {
    assert.equal(greeting(connect({ level, properties: FORGED })).withRoles(['a'], 'none'), undefined);
  }
});

test('user-property replaces every roles property of the client by one, behind what else there is', () => {
  const properties = Buffer.concat([
    FORGED,
    Buffer.of(0x21, 0, 5),
    userProperty('Roles', 'kept'),
    FORGED,
    userProperty('a', 'roles'),
    FORGED,
  ]);
  const expected = Buffer.concat([
    Buffer.of(0x21, 0, 5),
    userProperty('Roles', 'kept'),
    userProperty('a', 'roles'),
    userProperty('roles', 'viewer,editor'),
  ]);
  const parts = { level: 5, will: { ...WILL, properties: FORGED }, userName: 'alice|admin', password: 'p' };
  assert.deepEqual(
    injected({ ...parts, properties }, 'user-property', 'viewer', 'editor'),
    connect({ ...parts, properties: expected }),
  );
});

test('a hundred thousand forged properties go, those between them stay', () => {
  const kept = userProperty('a', 'b');
  const properties = Buffer.concat(Array.from({ length: 100_000 }, () => [FORGED, kept]).flat());
  const expected = Buffer.concat(Array.from({ length: 100_000 }, () => kept));
  const bytes = connect({ level: 5, properties });
  assert.deepEqual(
    greeting(bytes, bytes.length).withRoles([], 'username'),
    connect({ level: 5, properties: expected, userName: '|' }),
  );
});

test('user-property before MQTT 5.0 changes nothing', () => {
  for (const level of [3, 0x83, 4, 0x84]) {
    assert.equal(injected({ level, userName: 'alice' }, 'user-property', 'viewer'), undefined);
  }
});

test('user-property with no roles says so, and drops the forged ones', () => {
  assert.deepEqual(
    injected({ level: 5, properties: FORGED }, 'user-property'),
    connect({ level: 5, properties: userProperty('roles', '') }),
  );
});

test('username puts the roles behind the user name in every version', () => {
  for (const level of [3, 0x83, 4, 0x84, 5]) {
    const parts = { level, will: WILL, password: 'p' };
    const expected = connect({ ...parts, userName: 'alice|viewer,editor' });
    for (const userName of ['alice', 'alice|', 'alice|admin', 'alice|admin|root']) {
      assert.deepEqual(injected({ ...parts, userName }, 'username', 'viewer', 'editor'), expected, userName);
    }
  }
});

test('username with no roles still cuts off what the client claimed', () => {
  assert.deepEqual(injected({ userName: 'alice|admin' }, 'username'), connect({ userName: 'alice|' }));
  assert.deepEqual(injected({ userName: '|admin' }, 'username'), connect({ userName: '|' }));
});

test('username gives a user name to a client without one, before its password', () => {
  assert.deepEqual(injected({ level: 4 }, 'username', 'viewer'), connect({ level: 4, userName: '|viewer' }));
  assert.deepEqual(
    injected({ level: 5, password: 'p' }, 'username', 'viewer'),
    connect({ level: 5, userName: '|viewer', password: 'p' }),
  );
});

test('username removes the client’s roles properties in MQTT 5.0, and no other', () => {
  assert.deepEqual(
    injected(
      { level: 5, properties: Buffer.concat([FORGED, userProperty('role', 'x')]), userName: 'alice' },
      'username',
      'viewer',
    ),
    connect({ level: 5, properties: userProperty('role', 'x'), userName: 'alice|viewer' }),
  );
});

test('lengths grow over the edges of their encoding', () => {
  for (const size of [60, 127, 128, 16_300, 16_383, 16_384, 60_000]) {
    const role = 'r'.repeat(size);
    const limit = 200_000;
    const before = greeting(connect({ level: 5, userName: 'u', password: 'p' }), limit);
    for (const mode of ['user-property', 'username'] as const) {
      const bytes = before.withRoles([role], mode);
      assert.ok(bytes !== undefined);
      const after = greeting(bytes, limit);
      assert.equal(after.length, bytes.length);
      assert.equal(after.token, 'p');
    }
  }
});

test('a remaining length that was not minimal becomes so', () => {
  const minimal = connect({ userName: 'u' });
  const padded = Buffer.concat([Buffer.of(0x10, (minimal[1] ?? 0) | 0x80, 0), minimal.subarray(2)]);
  assert.deepEqual(greeting(padded).withRoles(['r'], 'username'), connect({ userName: 'u|r' }));
});

test('what is pipelined behind the CONNECT is not in the injected packet', () => {
  const bytes = Buffer.concat([connect({ userName: 'u' }), Buffer.of(0xc0, 0)]);
  assert.deepEqual(greeting(bytes).withRoles(['r'], 'username'), connect({ userName: 'u|r' }));
});

test('roles too long for a string are refused, never cut', () => {
  const before = greeting(connect({ level: 5, userName: 'alice' }));
  const refused = { name: 'GatewayError', code: 'ERR_CONNECT_MALFORMED' };
  assert.throws(() => before.withRoles(['r'.repeat(65_536)], 'user-property'), refused);
  assert.throws(() => before.withRoles(['r'.repeat(65_530)], 'username'), refused);
  assert.ok(before.withRoles(['r'.repeat(65_535)], 'user-property'));
  assert.ok(before.withRoles(['r'.repeat(65_529)], 'username'));
  assert.throws(() => before.withRoles(['é'.repeat(11_000)], 'user-property'), refused);
});

test('a packet grown over the largest remaining length is refused before it is built', () => {
  const tail = Buffer.alloc(MAX_VARINT - 10);
  const read = {
    packet: tail,
    level: 4,
    bodyAt: 5,
    flags: 0x82,
    flagsAt: 12,
    properties: undefined,
    userNameAt: 30,
    userNameEnd: 32,
    userName: Buffer.alloc(0),
    password: undefined,
  } as const;
  assert.throws(() => withRoles(read, ['r'.repeat(100)], 'username'), { code: 'ERR_CONNECT_MALFORMED' });
});

test('a role cannot become two, nor break out of its string', () => {
  assert.equal(roleList(['viewer,admin', 'plain']), 'viewer%2Cadmin,plain');
  assert.equal(roleList(['a%2Cb']), 'a%252Cb');
  assert.equal(roleList(['é', '\u010a', 'a\r\nb\0c\x7f']), '%C3%A9,%C4%8A,a%0D%0Ab%00c%7F');
  assert.equal(roleList(['\ud800x', '😀']), '%EF%BF%BDx,%F0%9F%98%80');
  assert.equal(claimText('Doe, Jane ~!'), 'Doe, Jane ~!');
  assert.equal(claimText('100%'), '100%25');
  const role = 'Üser, 100%\u0000😀';
  assert.equal(decodeURIComponent(roleList([role])), role);
});

test('blanks are encoded at both ends alone, and cost linear time inside', () => {
  assert.equal(claimText('  a  b '), '%20%20a  b%20');
  assert.equal(claimText('   '), '%20%20%20');
  assert.equal(claimText('\u00a0 a \t'), '%C2%A0 a %09');
  const long = `a${' '.repeat(1_000_000)}b`;
  assert.equal(claimText(long), long);
});

test('encoded roles stand in the packet as SPEC section 8 writes them', () => {
  assert.deepEqual(
    injected({ level: 5 }, 'user-property', 'a,b', 'ü'),
    connect({
      level: 5,
      properties: Buffer.concat([Buffer.of(0x26), field('roles'), field('a%2Cb,%C3%BC')]),
    }),
  );
});
