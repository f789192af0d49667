import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { exchange, handshakeHead } from '../../support/clients/raw-client.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RawUpstream, startRawUpstream, switching } from '../../support/upstreams/raw-upstream.js';

/** Names every dial of a raw session carries, and no others unless its route says so. */
const EXPECTED_NAMES = [
  'authorization',
  'connection',
  'host',
  'sec-websocket-key',
  'sec-websocket-version',
  'upgrade',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-request-id',
  'x-user-id',
  'x-user-name',
  'x-user-roles',
];

describe('the request head an upstream gets', () => {
  let issuer: Issuer;
  let upstream: RawUpstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    upstream = await startRawUpstream((socket, head) => socket.end(switching(head)));
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WS_DIAL_RETRY_MAX: '1', CB_FAILURE_THRESHOLD: '1000000' },
      routes: [{ prefix: '/rpc', upstream: `${upstream.url}/in`, forwardHeaders: ['X-Kept'] }],
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
    await issuer.close();
  });
  afterEach(() => assertQuiet(gateway, { upstreams: [upstream] }));

  /** Dials with these claims and request lines; the head the upstream saw, by lower-case name. */
  async function headFor(
    claims: Readonly<Record<string, unknown>>,
    lines: readonly string[] = [],
  ): Promise<Map<string, string>> {
    const before = upstream.heads.length;
    const token = issuer.sign(claims);
    const { client } = await exchange(
      gateway.port,
      handshakeHead(gateway.port, '/rpc', [`Authorization: Bearer ${token}`, ...lines]),
    );
    client.destroy();
    assert.equal(upstream.heads.length, before + 1, 'dialled once');
    const [requestLine, ...rest] = upstream.heads.at(-1)!.split('\r\n');
    assert.equal(requestLine, 'GET /in HTTP/1.1');
    const head = new Map<string, string>();
    for (const line of rest) {
      assert.match(line, /^[\w-]+: [\x20-\x7e]*$/, 'one well-formed printable line per header');
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).toLowerCase();
      assert.ok(!head.has(name), `${name} comes once`);
      head.set(name, line.slice(colon + 2));
    }
    assert.equal(head.get('authorization'), `Bearer ${token}`);
    return head;
  }

  it('says who the user is', async () => {
    const head = await headFor({
      sub: 'u-1',
      preferred_username: 'alice',
      realm_access: { roles: ['viewer'] },
      resource_access: { app: { roles: ['editor'] } },
    });
    assert.deepEqual(new Set(head.keys()), new Set(EXPECTED_NAMES));
    assert.equal(head.get('host'), `127.0.0.1:${upstream.port}`);
    assert.equal(head.get('x-user-id'), 'u-1');
    assert.equal(head.get('x-user-name'), 'alice');
    assert.deepEqual(new Set(head.get('x-user-roles')?.split(',')), new Set(['editor', 'viewer']));
    assert.equal(head.get('x-forwarded-for'), '127.0.0.1');
    assert.equal(head.get('x-forwarded-proto'), 'http');
    assert.equal(head.get('x-forwarded-host'), `127.0.0.1:${gateway.port}`);
    assert.match(head.get('x-request-id') ?? '', /^[\w-]{8,128}$/);
  });

  it("never holds a client's own identity headers, under any spelling", async () => {
    const head = await headFor({ sub: 'u-1', roles: ['viewer'] }, [
      'X-User-Id: root',
      'x-user-roles: admin',
      'X-USER-NAME: root',
      'X-User-Roles: admin',
      'X-User-Anything: root',
      'Connection: X-User-Roles',
      'X-Real-IP: 10.0.0.1',
      'Forwarded: for=10.0.0.1',
      'X-Kept: yes',
    ]);
    assert.deepEqual(new Set(head.keys()), new Set([...EXPECTED_NAMES, 'x-kept']));
    assert.equal(head.get('x-user-id'), 'u-1');
    assert.equal(head.get('x-user-roles'), 'viewer');
    assert.equal(head.get('x-kept'), 'yes');
  });

  it('never holds an alias with underscores, which may cost the client its connection', async () => {
    const before = upstream.heads.length;
    const lines = [`Authorization: Bearer ${issuer.sign()}`, 'X_User_Roles: admin'];
    const { client } = await exchange(gateway.port, handshakeHead(gateway.port, '/rpc', lines), 20_000);
    client.destroy();
    for (const head of upstream.heads.slice(before)) assert.doesNotMatch(head, /admin/);
  });

  it('has hostile claim text percent-encoded, never as further lines', async () => {
    const names: Record<string, string> = {
      'a\r\nX-User-Roles: admin': 'a%0D%0AX-User-Roles: admin',
      'a\nb': 'a%0Ab',
      'a\0b': 'a%00b',
      '\u010a\u010d': '%C4%8A%C4%8D',
      'é%41': '%C3%A9%2541',
      '😀': '%F0%9F%98%80',
      'a\tb\x7f': 'a%09b%7F',
      'a, b': 'a, b',
    };
    for (const [name, expected] of Object.entries(names)) {
      const head = await headFor({ sub: name, preferred_username: name, roles: [name, 'plain'] });
      assert.equal(head.get('x-user-id'), expected);
      assert.equal(head.get('x-user-name'), expected);
      assert.equal(head.get('x-user-roles'), `${expected.replaceAll(',', '%2C')},plain`);
      assert.deepEqual(new Set(head.keys()), new Set(EXPECTED_NAMES));
    }
  });

  it('bears lone surrogates, odd role claims and prototype names', async () => {
    const lone = await headFor({ sub: 'x\ud800y' });
    assert.equal(lone.get('x-user-id'), 'x%EF%BF%BDy');
    for (const claims of [
      { roles: 'viewer' },
      { roles: [1, null, {}, ['x'], 'viewer'] },
      { roles: { a: 'b' }, groups: null, realm_access: [], resource_access: { x: 1, y: { roles: 'z' } } },
      { ['__proto__']: { roles: ['admin'] }, constructor: { roles: ['admin'] } },
      { preferred_username: { toString: 'x' } },
      { preferred_username: 42 },
    ]) {
      const head = await headFor({ sub: 'u-1', ...claims });
      assert.ok(!(head.get('x-user-roles') ?? '').includes('admin'));
      assert.doesNotMatch([...head.values()].join('\n'), /\[object/);
    }
  });

  it('names the client by the word of a trusted proxy', async () => {
    const head = await headFor({}, [
      'X-Forwarded-For: 198.51.100.9, 203.0.113.7, 127.0.0.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: app.example.com',
      'X-Request-Id: req-42_x.y',
    ]);
    assert.match(head.get('x-forwarded-for') ?? '', /(^|, ?)203\.0\.113\.7(,|$)/);
    assert.equal(head.get('x-forwarded-proto'), 'https');
    assert.equal(head.get('x-forwarded-host'), 'app.example.com');
    assert.equal(head.get('x-request-id'), 'req-42_x.y');
    for (const id of ['a b', 'a"b', 'x'.repeat(129), 'é']) {
      const other = await headFor({}, [`X-Request-Id: ${id}`]);
      assert.notEqual(other.get('x-request-id'), id);
      assert.match(other.get('x-request-id') ?? '', /^[\w-]{8,128}$/);
    }
    for (const garbage of ['unknown', '1.2.3.4.5', '<script>', '203.0.113.7:99, ,'])
      assert.ok(await headFor({}, [`X-Forwarded-For: ${garbage}`]), garbage);
  });
});
