import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRouteTable } from '../../internal/config/routes/table.js';
import {
  checkHandshake,
  judgeOpening as judgeHead,
  type OpeningRules,
  type RequestHead,
} from '../../internal/gateway/opening.js';
import { TrustedProxies } from '../../internal/request/forwarded.js';
import { AllowedOrigins } from '../../internal/request/origin.js';
import { ROUTE } from '../admin/parts.js';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

type Lines = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A right opening handshake for /rpc; undefined takes a header away. */
function head(lines: Lines = {}, changes: Partial<RequestHead> = {}): RequestHead {
  const all: Lines = {
    host: 'gw.example:8080',
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-key': KEY,
    'sec-websocket-version': '13',
    ...lines,
  };
  const headers = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(all))
    if (value !== undefined) headers.set(name, typeof value === 'string' ? [value] : value);
  return {
    method: 'GET',
    target: '/rpc',
    query: '',
    headers,
    peer: '203.0.113.9',
    secure: false,
    ...changes,
  };
}

const table = createRouteTable([{ ...ROUTE, tls: undefined }]);
const rules: OpeningRules = {
  proxies: new TrustedProxies(['127.0.0.0/8']),
  origins: new AllowedOrigins(undefined),
  subprotocolNames: ['bearer'],
  match: (path) => table.match(path),
};

const judgeOpening = (seen: RequestHead, held: OpeningRules): ReturnType<typeof judgeHead> =>
  judgeHead(seen, checkHandshake(seen), held);

describe('an opening handshake', () => {
  it('has the token taken out of what it offers', () => {
    const opening = judgeOpening(head({ 'sec-websocket-protocol': ['chat, Bearer', 'a.b.c, log'] }), rules);
    assert.ok(typeof opening !== 'number');
    assert.deepEqual(opening.subprotocols, ['chat', 'log']);
    assert.deepEqual(opening.announced, { token: 'a.b.c', name: 'Bearer' });
  });

  it('that is right opens', () => {
    const opening = judgeOpening(
      head({ 'sec-websocket-protocol': 'b, a' }, { query: 'x=1', target: '/ws/%72pc/in' }),
      rules,
    );
    assert.ok(typeof opening !== 'number');
    assert.equal(opening.path, '/ws/rpc/in');
    assert.equal(opening.query, 'x=1');
    assert.deepEqual(opening.subprotocols, ['b', 'a']);
    assert.equal(opening.client.ip, '203.0.113.9');
    assert.deepEqual(
      opening.matches.map(({ route, rest }) => [route.prefix, rest]),
      [['/rpc', '/in']],
    );
  });

  it('is judged by path, route, handshake and origin, in this order', () => {
    const evil = { origin: 'https://evil.example' };
    const none = { ...evil, 'sec-websocket-version': undefined };
    assert.equal(judgeOpening(head(none, { target: '/x/../rpc' }), rules), 400);
    assert.equal(judgeOpening(head(none, { target: '/nothing' }), rules), 404);
    assert.equal(judgeOpening(head(none), rules), 426);
    assert.equal(judgeOpening(head({ ...evil, 'sec-websocket-key': 'x' }), rules), 400);
    assert.equal(judgeOpening(head(evil), rules), 403);
    assert.equal(typeof judgeOpening(head({ origin: 'http://gw.example:8080' }), rules), 'object');
  });

  it('compares the origin with the host that a trusted proxy names', () => {
    const proxied = { host: 'inner:8080', 'x-forwarded-host': 'gw.example', origin: 'https://gw.example' };
    assert.equal(typeof judgeOpening(head(proxied, { peer: '127.0.0.1' }), rules), 'object');
    assert.equal(judgeOpening(head(proxied), rules), 403);
  });

  it('with a query that could break a request line is refused', () => {
    for (const query of ['a b', 'a\r\nb', '\u00e9', '\0'])
      assert.equal(judgeOpening(head({}, { query }), rules), 400, query);
    assert.equal(typeof judgeOpening(head({}, { query: 'a=%0d%0a&b=~!"' }), rules), 'object');
  });
});

describe('RFC 6455 section 4.2.1', () => {
  const cases: readonly (readonly [string, Lines, Partial<RequestHead>, 400 | 426 | undefined])[] = [
    ['a right one', {}, {}, undefined],
    ['upper case', { upgrade: 'WebSocket', connection: 'UPGRADE' }, {}, undefined],
    ['token lists', { upgrade: 'h2c, websocket', connection: ['keep-alive', 'x , upgrade'] }, {}, undefined],
    [
      'a plain request',
      {
        upgrade: undefined,
        connection: undefined,
        'sec-websocket-key': undefined,
        'sec-websocket-version': undefined,
      },
      {},
      426,
    ],
    ['no version', { 'sec-websocket-version': undefined }, {}, 426],
    ['an empty version', { 'sec-websocket-version': '' }, {}, 426],
    ['version 12', { 'sec-websocket-version': '12' }, {}, 426],
    ['version 013', { 'sec-websocket-version': '013' }, {}, 426],
    ['a list of versions', { 'sec-websocket-version': '13, 8' }, {}, 426],
    ['two versions', { 'sec-websocket-version': ['13', '13'] }, {}, 426],
    ['no Upgrade', { upgrade: undefined }, {}, 400],
    ['h2c', { upgrade: 'h2c' }, {}, 400],
    ['a part of the word', { upgrade: 'xwebsocket' }, {}, 400],
    ['no Connection', { connection: undefined }, {}, 400],
    ['another Connection', { connection: 'keep-alive' }, {}, 400],
    ['a part of the word in Connection', { connection: 'upgraded' }, {}, 400],
    ['POST', {}, { method: 'POST' }, 400],
    ['get', {}, { method: 'get' }, 400],
    ['no key', { 'sec-websocket-key': undefined }, {}, 400],
    ['an empty key', { 'sec-websocket-key': '' }, {}, 400],
    ['two keys', { 'sec-websocket-key': [KEY, KEY] }, {}, 400],
    ['a key that is too short', { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25j' }, {}, 400],
    ['a key that is too long', { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZSE=' }, {}, 400],
    ['a key with bits left over', { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZR==' }, {}, 400],
    ['a key that is no base64', { 'sec-websocket-key': '!!!!!!!!!!!!!!!!!!!!!!==' }, {}, 400],
    ['base64url', { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25j-Q==' }, {}, 400],
    ['no Host', { host: undefined }, {}, 400],
    ['two Hosts', { host: ['a', 'b'] }, {}, 400],
    ['two Authorizations', { authorization: ['Bearer a', 'Bearer b'] }, {}, 400],
    ['a body', { 'content-length': '5' }, {}, 400],
    ['a chunked body', { 'transfer-encoding': 'chunked' }, {}, 400],
    ['two lengths', { 'content-length': ['0', '5'] }, {}, 400],
    ['a length of 0', { 'content-length': '0' }, {}, undefined],
    ['sub-protocols', { 'sec-websocket-protocol': ['mqtt, x', 'y'] }, {}, undefined],
    ['a sub-protocol that is no token', { 'sec-websocket-protocol': 'a b' }, {}, 400],
    ['a quoted sub-protocol', { 'sec-websocket-protocol': '"a"' }, {}, 400],
    ['commas only', { 'sec-websocket-protocol': ',,,' }, {}, undefined],
  ];
  for (const [name, lines, changes, expected] of cases) {
    it(`${name}: ${expected ?? 'good'}`, () => assert.equal(checkHandshake(head(lines, changes)), expected));
  }

  it('costs linear time', () => {
    const startMs = performance.now();
    for (const separators of [
      ','.repeat(65_536),
      ' '.repeat(65_536),
      ', '.repeat(32_768),
      '\t,'.repeat(32_768),
    ])
      checkHandshake(
        head({ upgrade: separators, connection: separators, 'sec-websocket-protocol': separators }),
      );
    assert.ok(performance.now() - startMs < 2000, 'took too long');
  });
});
