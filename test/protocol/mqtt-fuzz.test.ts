import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { agreesWithReference, reference } from '../../fuzz/targets/mqtt-connect.js';
import { mqtt } from '../../internal/protocol/mqtt.js';
import { roleList } from '../../internal/request/claim-text.js';
import {
  type ConnectParts,
  connect,
  connectBody,
  greeting,
  LIMIT_BYTES,
  packet,
  read,
  userProperty,
} from './connect-packet.js';

const SEED = 20_240_601;

/** Reads whatever bytes and holds the verdict against mqtt-packet's. */
function checkVerdict(bytes: Buffer): string {
  const result = read(bytes);
  agreesWithReference(result, bytes);
  if (result.verdict !== 'ready') return result.verdict;
  const { token } = result.greeting;
  assert.equal(mqtt.sniff(bytes), 'match');
  for (const mode of ['username', 'user-property'] as const) {
    const bytesWithRoles = result.greeting.withRoles(['r'], mode);
    if (bytesWithRoles !== undefined) assert.equal(greeting(bytesWithRoles).token, token);
  }
  return result.verdict;
}

const text = fc.string({ unit: 'binary', maxLength: 8 }).filter((one) => !one.includes('\0'));
const userName = fc.oneof(text, fc.constantFrom('alice|admin', '|', 'a||b', ''));
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  text.map((one) => Buffer.from(one)),
  fc.constantFrom('Bearer a.b.c', 'Bearer ', '').map((one) => Buffer.from(one)),
);
const pair = fc.tuple(fc.oneof(text, fc.constantFrom('roles', 'Roles', '__proto__')), text);
const otherProperty = fc.constantFrom(
  Buffer.of(0x11, 0, 0, 1, 0),
  Buffer.of(0x17, 1),
  Buffer.of(0x19, 0),
  Buffer.of(0x21, 0, 9),
  Buffer.of(0x22, 0, 0),
  Buffer.of(0x27, 0, 1, 0, 0),
  Buffer.of(0x15, 0, 1, 0x61, 0x16, 0, 1, 0xff),
);
const willProperty = fc.constantFrom(
  Buffer.of(0x01, 1),
  Buffer.of(0x02, 0, 0, 0, 9),
  Buffer.of(0x03, 0, 1, 0x61),
  Buffer.of(0x08, 0, 1, 0x61),
  Buffer.of(0x09, 0, 1, 0),
  Buffer.of(0x18, 0, 0, 0, 9),
  userProperty('roles', 'of the will'),
);

interface Model {
  parts: ConnectParts;
  /** Properties in their order; a pair is a User Property. */
  properties: (Buffer | [string, string])[];
}

function propertiesOf(list: Model['properties']): Buffer {
  return Buffer.concat(list.map((one) => (Buffer.isBuffer(one) ? one : userProperty(...one))));
}

const model: fc.Arbitrary<Model> = fc
  .record({
    level: fc.constantFrom(3, 0x83, 4, 0x84, 5, 5),
    keepAlive: fc.integer({ min: 0, max: 65_535 }),
    clientId: text,
    will: fc.option(
      fc.record({
        topic: text,
        payload,
        properties: fc.uniqueArray(willProperty, { maxLength: 4 }).map((list) => Buffer.concat(list)),
      }),
      { nil: undefined },
    ),
    userName: fc.option(userName, { nil: undefined }),
    password: fc.option(payload, { nil: undefined }),
    pairs: fc.array(pair, { maxLength: 4 }),
    others: fc.uniqueArray(otherProperty, { maxLength: 4 }),
    order: fc.infiniteStream(fc.boolean()),
  })
  .map(({ level, keepAlive, clientId, will, userName: name, password, pairs, others, order }) => {
    const properties: Model['properties'] = [];
    const left: [Model['properties'], Model['properties']] = [[...pairs], [...others]];
    while (left[0].length + left[1].length > 0) {
      const next = left[order.next().value ? 0 : 1].shift();
      if (next !== undefined) properties.push(next);
    }
    const parts: ConnectParts = { level, keepAlive, clientId, properties: propertiesOf(properties) };
    if (will !== undefined) parts.will = will;
    if (name !== undefined) parts.userName = name;
    if (password !== undefined && (level === 5 || name !== undefined)) parts.password = password;
    return { parts, properties };
  });

test('well-formed packets are read; every truncation waits or is refused; every flipped bit ends in a verdict', (t) => {
  t.diagnostic(`seed ${SEED}`);
  let cases = 0;
  const verdicts = new Map<string, number>();
  const check = (bytes: Buffer) => {
    const verdict = checkVerdict(bytes);
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    cases++;
    return verdict;
  };
  fc.assert(
    fc.property(model, ({ parts }) => {
      const bytes = connect(parts);
      assert.equal(check(bytes), 'ready');
      for (let length = 0; length < bytes.length; length++) {
        assert.equal(check(bytes.subarray(0, length)), 'more');
      }
      const body = connectBody(parts);
      for (let length = 0; length < body.length; length++) {
        assert.equal(check(packet(body.subarray(0, length))), 'malformed');
      }
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = Buffer.from(bytes);
        flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        check(flipped);
      }
    }),
    { seed: SEED, numRuns: 150, endOnFailure: true },
  );
  t.diagnostic(`${cases} cases: ${JSON.stringify(Object.fromEntries(verdicts))}`);
  assert.ok(cases >= 90_000);
});

test('bytes changed, dropped, doubled or moved end in a verdict', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const edit = fc.record({ at: fc.nat(200), count: fc.nat(6), byte: fc.nat(255), kind: fc.nat(3) });
  fc.assert(
    fc.property(model, fc.array(edit, { minLength: 1, maxLength: 4 }), ({ parts }, edits) => {
      let body: Buffer = connectBody(parts);
      for (const { at, count, byte, kind } of edits) {
        const from = at % (body.length + 1);
        const [before, piece, after] = [
          body.subarray(0, from),
          body.subarray(from, from + count),
          body.subarray(from + count),
        ];
        const replaced = [[Buffer.of(byte)], [], [piece, piece], [Buffer.of(byte), piece]][kind] ?? [];
        body = Buffer.concat([before, ...replaced, after]);
      }
      checkVerdict(packet(body));
    }),
    { seed: SEED, numRuns: 10_000, endOnFailure: true },
  );
});

test('random bytes, alone and behind the start of a CONNECT, end in a verdict', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const starts = [
    Buffer.alloc(0),
    Buffer.of(0x10),
    ...[3, 4, 5, 6].map((level) =>
      connectBody({ level, name: level === 3 ? 'MQIsdp' : 'MQTT' }).subarray(0, -10),
    ),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 40 }), (start, random) => {
      checkVerdict(Buffer.concat([start, random]));
      checkVerdict(packet(Buffer.concat([start, random])));
    }),
    { seed: SEED, numRuns: 10_000, endOnFailure: true },
  );
});

test('reading gives what the packet said, and with roles injected nothing but the roles differs', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const role = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 6 }),
    fc.constantFrom('admin', 'a,b', '100%', '\ud800'),
  );
  fc.assert(
    fc.property(model, fc.array(role, { maxLength: 3 }), ({ parts, properties }, roles) => {
      const { withRoles } = greeting(connect(parts));
      const list = roleList(roles);
      assert.match(list, /^[\x20-\x7e]*$/);
      assert.equal(withRoles(roles, 'none'), undefined);

      const ownProperties = properties.filter((one) => Buffer.isBuffer(one) || one[0] !== 'roles');
      const base = String(parts.userName ?? '').split('|')[0];
      const named = withRoles(roles, 'username');
      const expected = { ...parts, properties: propertiesOf(ownProperties), userName: `${base}|${list}` };
      assert.deepEqual(named, connect(expected));
      assert.equal(reference(connect(expected))?.username, `${base}|${list}`);

      const withProperty = withRoles(roles, 'user-property');
      if (parts.level !== 5) return assert.equal(withProperty, undefined);
      const added = connect({ ...parts, properties: propertiesOf([...ownProperties, ['roles', list]]) });
      assert.deepEqual(withProperty, added);
      assert.equal(reference(added)?.properties?.userProperties?.roles, list);
      // Once injected, injecting again changes nothing: a first gateway's is replaced as a forgery would be.
      return assert.deepEqual(greeting(added).withRoles(roles, 'user-property'), added);
    }),
    { seed: SEED, numRuns: 5_000, endOnFailure: true },
  );
});

test('what announces more than is allowed is too big, whether or not the rest of its beginning has come', () => {
  const bytes = Buffer.concat([Buffer.of(0x10, 0xff, 0xff, 0x7f), Buffer.from('no CONNECT')]);
  for (const length of [4, 5, bytes.length]) {
    const result = read(bytes.subarray(0, length));
    assert.equal(result.verdict === 'malformed' && result.reason, 'messageTooBig', `${length} bytes`);
  }
});

test('a packet of the largest size allowed is read, and refused with one byte more', () => {
  const clientId = 'c'.repeat(LIMIT_BYTES - connect({ clientId: '' }).length - 2);
  const bytes = connect({ clientId });
  assert.equal(bytes.length, LIMIT_BYTES);
  assert.equal(read(bytes).verdict, 'ready');
  assert.equal(read(connect({ clientId: `${clientId}c` })).verdict, 'malformed');
});
