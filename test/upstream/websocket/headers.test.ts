import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { claimText } from '../../../internal/request/claim-text.js';
import { type RequestFacts, upstreamHeaders } from '../../../internal/upstream/websocket/headers.js';
import { HandshakeKeys, openingRequest } from '../../../internal/upstream/websocket/opening-request.js';
import { targetUrl } from '../../../internal/upstream/websocket/target-url.js';
import { REQUEST } from '../lab.js';

const seed = Number(process.env.FUZZ_SEED ?? 20_261_123);
console.log(`# seed ${seed}`);

const KEY = new HandshakeKeys().next();

/** The head as an upstream reads it: its lines, each of one name and one value. */
function headLines(facts: Partial<RequestFacts>, forwardHeaders: readonly string[] = []): string[] {
  const { bytes } = openingRequest(
    'up.example',
    '/',
    [],
    upstreamHeaders({ ...REQUEST, ...facts }, forwardHeaders),
    KEY,
  );
  const text = bytes.toString('latin1');
  assert.ok(text.endsWith('\r\n\r\n'));
  const lines = text.slice(0, -4).split('\r\n');
  for (const line of lines.slice(1)) assert.match(line, /^[\w-]+: [\x20-\x7e\x80-\xff]*$/);
  return lines;
}

const GIVEN = 1 + 5 + 4;
const identity = (sub: string, ...roles: string[]) => ({ sub, preferredUsername: sub, roles });
const identityLines = (facts: Partial<RequestFacts>): string[] => headLines(facts).slice(GIVEN);

describe('the headers of a dial', () => {
  it('name the client on every dial', () => {
    for (const protocol of ['raw', 'mqtt'] as const) {
      assert.deepEqual(headLines({ protocol }).slice(6), [
        'X-Forwarded-For: 192.0.2.1',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: gw.example.com',
        'X-Request-Id: r-1',
      ]);
    }
  });

  it('say where the dial stands in a trace, and never what the client says of it', () => {
    const own = { traceparent: ['00-own'], tracestate: ['own=1'], baggage: ['b=1'] };
    const headers = new Map(Object.entries(own));
    const forwarded = ['traceparent', 'tracestate', 'baggage'];
    assert.deepEqual(headLines({ headers }, forwarded).slice(GIVEN), ['baggage: b=1']);
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    for (const protocol of ['raw', 'mqtt'] as const) {
      const given = { protocol, headers, traceContext: { traceparent, tracestate: 'a=1' } };
      assert.deepEqual(headLines(given, forwarded).slice(GIVEN), [
        `traceparent: ${traceparent}`,
        'tracestate: a=1',
        'baggage: b=1',
      ]);
    }
    assert.deepEqual(identityLines({ traceContext: { traceparent, tracestate: undefined } }), [
      `traceparent: ${traceparent}`,
    ]);
  });

  it('carry token and identity to all upstreams but brokers of MQTT', () => {
    const facts = { token: 'a.b.c', identity: identity('alice', 'x', 'y z') };
    for (const protocol of ['raw', 'stomp', 'graphql'] as const)
      assert.deepEqual(identityLines({ ...facts, protocol }), [
        'Authorization: Bearer a.b.c',
        'X-User-Id: alice',
        'X-User-Name: alice',
        'X-User-Roles: x,y z',
      ]);
    assert.deepEqual(identityLines({ ...facts, protocol: 'mqtt' }), []);
  });

  it('percent-encode whatever could become another line, role or name', () => {
    const samples: Readonly<Record<string, string>> = {
      'a\r\nX-User-Roles: admin': 'a%0D%0AX-User-Roles: admin',
      'a\0b': 'a%00b',
      '\u010a\u010d': '%C4%8A%C4%8D',
      '100%': '100%25',
      'x\ud800y': 'x%EF%BF%BDy',
      '\udc00': '%EF%BF%BD',
      '😀': '%F0%9F%98%80',
      '\x7f\t': '%7F%09',
      ' alice ': '%20alice%20',
      'a b': 'a b',
      '': '',
    };
    for (const [text, expected] of Object.entries(samples)) {
      assert.equal(claimText(text), expected);
      const lines = identityLines({ identity: identity(text, text, `${text},admin`) });
      assert.deepEqual(lines, [
        `X-User-Id: ${expected}`,
        `X-User-Name: ${expected}`,
        `X-User-Roles: ${expected},${expected.replaceAll(',', '%2C')}%2Cadmin`.replace(
          '%20%2Cadmin',
          ' %2Cadmin',
        ),
      ]);
    }
    assert.equal(
      identityLines({ identity: identity('x'.repeat(65_536)) })[0]?.length,
      'X-User-Id: '.length + 65_536,
    );
  });

  it('hold exactly the expected lines for any claims', () => {
    const text = fc.string({
      unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
      maxLength: 30,
    });
    fc.assert(
      fc.property(text, fc.array(text, { maxLength: 4 }), (sub, roles) => {
        const lines = identityLines({ token: 'a.b.c', identity: identity(sub, ...roles) });
        assert.equal(lines.length, 4);
        const decoded = decodeURIComponent(lines[1]!.slice('X-User-Id: '.length));
        assert.equal(decoded, Buffer.from(sub).toString());
        const list = lines[3]!.slice('X-User-Roles: '.length).split(',').map(decodeURIComponent);
        assert.deepEqual(list, roles.length === 0 ? [''] : roles.map((role) => Buffer.from(role).toString()));
      }),
      { seed, numRuns: 3000 },
    );
  });

  it('pass named headers on as they came, the cookie without the token', () => {
    const headers = new Map([
      ['x-kept', ['one', 'zwei \xfc', '\xc3\xbc\xff']],
      ['x-other', ['no']],
      ['cookie', ['session=secret; a=b']],
    ]);
    const lines = headLines({ headers, cookie: 'a=b' }, ['x-kept', 'cookie', 'x-absent']).slice(GIVEN);
    assert.deepEqual(lines, ['x-kept: one', 'x-kept: zwei \xfc', 'x-kept: \xc3\xbc\xff', 'cookie: a=b']);
    assert.deepEqual(headLines({ headers, cookie: undefined }, ['cookie']).slice(GIVEN), []);
  });

  it("never pass a client's own identity or hop-by-hop headers on, whatever the route says", () => {
    const names = [
      'authorization',
      'host',
      'x-user-id',
      'x-user-roles',
      'x_user_roles',
      'x-user_id',
      'x-forwarded-for',
      'x_forwarded_host',
      'sec-websocket-key',
      'sec-websocket-extensions',
      'connection',
      'upgrade',
      'te',
      'transfer-encoding',
      'content-length',
      'x-request-id',
      'proxy-authorization',
    ];
    const headers = new Map(names.map((name) => [name, ['forged']]));
    assert.deepEqual(headLines({ headers }, names).slice(GIVEN), []);
  });

  it('refuse what does not fit into one line', () => {
    for (const value of ['a\rb', 'a\nb', 'a\0b', '\u010a', '\u0100']) {
      assert.throws(() => openingRequest('h', '/', [], [['x', value]], KEY), { code: 'ERR_DIAL_FAILED' });
    }
    for (const name of ['', 'a b', 'a:', 'a\r\nb', 'ü'])
      assert.throws(() => openingRequest('h', '/', [], [[name, '']], KEY), { code: 'ERR_DIAL_FAILED' });
    for (const target of ['', 'a', '/a b', '/a\r\n', '/#a', '/ü', 'http://x/'])
      assert.throws(() => openingRequest('h', target, [], [], KEY), { code: 'ERR_DIAL_FAILED' });
    for (const offered of ['', 'a,b', 'a b', 'ü'])
      assert.throws(() => openingRequest('h', '/', [offered], [], KEY), { code: 'ERR_DIAL_FAILED' });
    assert.throws(() => openingRequest('h\r\nX: y', '/', [], [], KEY), { code: 'ERR_DIAL_FAILED' });
  });

  it('use a fresh key of 16 bytes each time', () => {
    const source = new HandshakeKeys();
    const keys = Array.from({ length: 1000 }, () => source.next());
    const { bytes } = openingRequest('h', '/', ['a', 'b'], [], KEY);
    assert.equal(/Sec-WebSocket-Key: (.*)\r\n/.exec(bytes.toString())?.[1], KEY);
    assert.equal(new Set(keys).size, 1000);
    assert.ok(keys.every((key) => Buffer.from(key, 'base64').length === 16));
  });
});

describe('the request target of a dial', () => {
  const parts = { appendPath: true, rest: '', preserveQuery: true, query: '' };
  const target = (url: string, more: Partial<typeof parts> = {}): string =>
    targetUrl(new URL(url), { ...parts, ...more });

  it("puts the upstream's own query before the client's", () => {
    assert.equal(target('ws://u/p?own=1', { query: 'a=b&c=%20' }), '/p?own=1&a=b&c=%20');
    assert.equal(target('ws://u/p', { query: 'a' }), '/p?a');
    assert.equal(target('ws://u/p?own=1', { query: 'a', preserveQuery: false }), '/p?own=1');
    assert.equal(target('ws://u'), '/');
    assert.equal(target('ws://u/p#f', { query: 'a#b c\r\nd"é' }), '/p?a%23b%20c%0D%0Ad"%C3%A9');
  });

  it('appends what follows the prefix without letting it change its meaning', () => {
    assert.equal(target('ws://u', { rest: '/a/b' }), '/a/b');
    assert.equal(target('ws://u/base/', { rest: '/a' }), '/base/a');
    assert.equal(target('ws://u/base', { rest: 'a' }), '/base/a');
    assert.equal(target('ws://u/base', { rest: '/a', appendPath: false }), '/base');
    assert.equal(target('ws://u', { rest: '/a?b#c%2e d\\e' }), '/a%3Fb%23c%252e%20d%5Ce');
    assert.equal(target('ws://u', { rest: '/..;/admin' }), '/..%3B/admin');
    assert.equal(target('ws://u/base', { rest: '/../../admin/.' }), '/base///admin/');
    assert.equal(target('ws://u', { rest: '/ü\ud800' }), '/%C3%BC%EF%BF%BD');
  });

  it('always fits into a request line and stays below the base', () => {
    const text = fc.string({
      unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
      maxLength: 20,
    });
    fc.assert(
      fc.property(text, text, (rest, query) => {
        const line = target('ws://u/base?x=1', { rest: `/${rest}`, query });
        assert.match(line, /^\/base[\x21-\x7e]*$/);
        const url = new URL(line, 'ws://u');
        assert.ok(url.pathname.startsWith('/base/'));
        assert.ok(url.search.startsWith('?x=1'));
        assert.equal(url.hash, '');
        openingRequest('h', line, [], [], KEY);
      }),
      { seed, numRuns: 3000 },
    );
  });
});
