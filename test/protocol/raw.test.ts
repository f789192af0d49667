import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { raw } from '../../internal/protocol/raw.js';

const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln-_A';
const LIMIT_BYTES = 65_536;

function read(message: string | Buffer, limitBytes = LIMIT_BYTES) {
  return raw.read(Buffer.from(message), limitBytes);
}

/** The token found, or the reason of the refusal. */
function outcome(message: string | Buffer, limitBytes = LIMIT_BYTES): string | undefined {
  const result = read(message, limitBytes);
  if (result.verdict === 'ready') return result.greeting.token;
  return result.verdict === 'malformed' ? result.reason : result.verdict;
}

test('any bytes are raw, even none', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.of(0x10), Buffer.from('x')])
    assert.equal(raw.sniff(bytes), 'match');
  assert.equal(raw.allowsText, true);
  assert.deepEqual(raw.subprotocols, []);
});

test('the message with the token is consumed whole, without a word to client or upstream', () => {
  const message = ` ${JWT}\n`;
  const result = read(message);
  assert.ok(result.verdict === 'ready');
  const { greeting } = result;
  assert.equal(greeting.token, JWT);
  assert.equal(greeting.length, message.length);
  assert.equal(greeting.consumed, true);
  assert.equal(greeting.refusal('authentication'), undefined);
  assert.equal(greeting.refusal('unavailable'), undefined);
  assert.equal(greeting.withRoles(['admin'], 'username'), undefined);
});

test('a bare JWT is taken with or without Bearer, white space and a byte order mark around it', () => {
  for (const message of [JWT, `Bearer ${JWT}`, `bearer  ${JWT}`, `\r\n\t ${JWT} \n`, `\ufeff${JWT}`]) {
    assert.equal(outcome(message), JWT, JSON.stringify(message));
  }
  assert.equal(outcome('e30.e30.'), 'e30.e30.');
});

test('a JSON object may hold the token at its top level, in params or in payload', () => {
  const messages = [
    { token: JWT },
    { access_token: JWT },
    { token: `Bearer ${JWT}` },
    { params: { token: JWT } },
    { params: { access_token: `Bearer ${JWT}` } },
    { payload: { token: JWT } },
    { type: 'connection_init', payload: { access_token: JWT } },
    { jsonrpc: '2.0', id: 1, method: 'login', params: { token: JWT, extra: [1, { token: 1 }] } },
  ];
  for (const message of messages) assert.equal(outcome(JSON.stringify(message)), JWT);
  assert.equal(outcome(`\ufeff \n${JSON.stringify({ token: JWT }, undefined, 2)}\n`), JWT);
});

test('the order is top level, params, payload; token before access_token', () => {
  const all = {
    payload: { access_token: 'f', token: 'e' },
    params: { access_token: 'd', token: 'c' },
    access_token: 'b',
    token: 'a',
  };
  assert.equal(outcome(JSON.stringify(all)), 'a');
  assert.equal(outcome(JSON.stringify({ ...all, token: 1 })), 'b');
  assert.equal(outcome(JSON.stringify({ ...all, token: [], access_token: '' })), 'c');
  assert.equal(outcome(JSON.stringify({ payload: all.payload, params: null })), 'e');
});

test('a token that is no JWT is handed on for verification to refuse', () => {
  assert.equal(outcome('{"token":"x"}'), 'x');
});

test('a JSON object without a token is refused as such', () => {
  const messages = [
    {},
    { token: null },
    { token: 1 },
    { token: '' },
    { token: 'Bearer ' },
    { token: { token: JWT } },
    { token: [JWT] },
    { params: [JWT] },
    { params: [{ token: JWT }] },
    { params: JWT },
    { data: { token: JWT } },
    { params: { params: { token: JWT } } },
    { Token: JWT },
  ];
  for (const message of messages)
    assert.equal(outcome(JSON.stringify(message)), 'jwtMalformed', JSON.stringify(message));
});

test('only members that the message itself has count', () => {
  assert.equal(outcome(`{"__proto__":{"token":"${JWT}"}}`), 'jwtMalformed');
  assert.equal(outcome(`{"constructor":{"token":"${JWT}"}}`), 'jwtMalformed');
  assert.equal(outcome(`{"params":{"__proto__":{"token":"${JWT}"}}}`), 'jwtMalformed');
  assert.equal(outcome(`{"__proto__":null,"token":"${JWT}"}`), JWT);
  assert.equal(({} as { token?: unknown }).token, undefined);
});

test('inherited members do not count even when the prototype is polluted', (t) => {
  Object.defineProperty(Object.prototype, 'token', { value: JWT, configurable: true });
  t.after(() => Reflect.deleteProperty(Object.prototype, 'token'));
  assert.equal(outcome('{}'), 'jwtMalformed');
  assert.equal(outcome('{"params":{}}'), 'jwtMalformed');
});

test('what is neither a JSON object nor a JWT is malformed', () => {
  const messages = [
    '',
    ' ',
    'hello',
    'a.b',
    'a.b.c.d',
    'a.b.c.d.e',
    '..',
    'a..c',
    '.b.c',
    `${JWT} ${JWT}`,
    `${JWT}=`,
    'Bearer',
    'Bearer ',
    `Basic ${JWT}`,
    `"${JWT}"`,
    `["${JWT}"]`,
    `[{"token":"${JWT}"}]`,
    'null',
    '1',
    '{',
    `{"token":"${JWT}"`,
    `{"token":"${JWT}"}{}`,
    `{'token':'${JWT}'}`,
    `${JWT}\u0000`,
    'é.é.é',
  ];
  for (const message of messages) assert.equal(outcome(message), 'jwtMalformed', JSON.stringify(message));
});

test('bytes that are no UTF-8 are malformed, also inside JSON', () => {
  assert.equal(outcome(Buffer.of(0x10, 0xde, 0xad, 0xbe, 0xef)), 'jwtMalformed');
  assert.equal(
    outcome(Buffer.concat([Buffer.from('{"token":"a.b.c'), Buffer.of(0xff), Buffer.from('"}')])),
    'jwtMalformed',
  );
});

test('the limit is allowed itself and not exceeded', () => {
  assert.equal(outcome(JWT, JWT.length), JWT);
  assert.equal(outcome(JWT, JWT.length - 1), 'messageTooBig');
});

test('deep nesting ends in a verdict, at any depth', () => {
  for (const depth of [10_000, 100_000, 1_000_000]) {
    const arrays = `{"token":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    const objects = `${'{"params":'.repeat(depth)}1${'}'.repeat(depth)}`;
    const unclosed = '{"params":'.repeat(depth);
    for (const message of [arrays, objects, unclosed]) {
      assert.match(String(outcome(message, 2 ** 30)), /^jwtMalformed$/);
    }
  }
});

test('long messages made to slow a pattern down are read in linear time', () => {
  const size = 4_000_000;
  const messages = [
    'a'.repeat(size),
    'a.'.repeat(size / 2),
    ' '.repeat(size),
    `Bearer${' '.repeat(size)}`,
    `a${' '.repeat(size)}a`,
    `a.b.${'c'.repeat(size)}!`,
  ];
  for (const message of messages) assert.equal(outcome(message, 2 ** 30), 'jwtMalformed');
});

test('a reason for the log quotes nothing of the message', () => {
  for (const message of [`{"token":"${JWT}"`, `${JWT}!`, `{"secret":"${JWT}"}`]) {
    const result = read(message);
    assert.ok(result.verdict === 'malformed');
    assert.doesNotMatch(result.why, /eyJ|secret/);
  }
});

test('random messages never throw and are ready or refused', (t) => {
  const seed = 20_240_601;
  t.diagnostic(`seed ${seed}`);
  const member = fc.constantFrom(
    'token',
    'access_token',
    'params',
    'payload',
    '__proto__',
    'constructor',
    'x',
  );
  const { object } = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string(),
      fc.constant(JWT),
      fc.integer(),
      fc.constant(null),
      tie('object'),
    ),
    object: fc.dictionary(member, tie('value'), { maxKeys: 4 }),
  }));
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: 'binary', maxLength: 64 }).map((text) => Buffer.from(text)),
    fc.json().map((text) => Buffer.from(text)),
    object.map((value) => Buffer.from(JSON.stringify(value))),
  );
  fc.assert(
    fc.property(message, (bytes) => {
      const result = raw.read(bytes, LIMIT_BYTES);
      if (result.verdict === 'ready') {
        const { token } = result.greeting;
        return token !== undefined && token !== '' && bytes.includes(JSON.stringify(token).slice(1, -1));
      }
      return result.verdict === 'malformed' && /^jwt(Missing|Malformed)$/.test(result.reason);
    }),
    { seed, numRuns: 20_000 },
  );
});
