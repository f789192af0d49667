import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canonicalIp } from '../../internal/request/address.js';
import { isGivenRequestId, TrustedProxies } from '../../internal/request/forwarded.js';

const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/;

function lines(
  headers: Readonly<Record<string, string | readonly string[]>>,
): Map<string, readonly string[]> {
  return new Map(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? [value] : value]),
  );
}

const proxies = new TrustedProxies(['10.0.0.0/8', '127.0.0.1', 'fd00::/8', '2001:db8::7']);
const ipOf = (peer: string, forwarded: string | readonly string[]) =>
  proxies.client(peer, false, lines({ 'x-forwarded-for': forwarded })).ip;

describe('the address of a client', () => {
  it('is the peer when nobody vouches for another', () => {
    assert.equal(ipOf('203.0.113.9', '198.51.100.1'), '203.0.113.9');
    assert.equal(ipOf('2001:db8::8', '198.51.100.1'), '2001:db8::8');
    assert.equal(proxies.client('10.1.2.3', false, lines({})).ip, '10.1.2.3');
    assert.equal(
      new TrustedProxies([]).client('127.0.0.1', false, lines({ 'x-forwarded-for': '1.2.3.4' })).ip,
      '127.0.0.1',
    );
  });

  it('is the rightmost one that is no trusted proxy', () => {
    assert.equal(ipOf('10.1.2.3', '198.51.100.1'), '198.51.100.1');
    assert.equal(ipOf('10.1.2.3', '6.6.6.6, 198.51.100.1'), '198.51.100.1');
    assert.equal(ipOf('10.1.2.3', '6.6.6.6, 198.51.100.1, 10.9.9.9'), '198.51.100.1');
    assert.equal(ipOf('10.1.2.3', ['6.6.6.6', '198.51.100.1, 10.9.9.9', '127.0.0.1']), '198.51.100.1');
    assert.equal(ipOf('fd12::1', '2001:db8::9'), '2001:db8::9');
    assert.equal(ipOf('2001:db8::7', '::ffff:198.51.100.1'), '198.51.100.1');
  });

  it('is the last trusted one when all are, or when what stands before is no address', () => {
    assert.equal(ipOf('10.1.2.3', '10.0.0.7, 10.0.0.8'), '10.0.0.7');
    for (const junk of [
      '_hidden',
      'unknown',
      'Unknown',
      '"unknown"',
      'unknown2',
      '"198.51.100.1',
      '"',
      'a.b.c.d',
      '1.2.3',
      '1.2.3.4.5',
      '01.2.3.4',
      '<script>',
      '198.51.100.1;',
      '::g',
    ])
      assert.equal(ipOf('10.1.2.3', `198.51.100.1, ${junk}, 10.0.0.8`), '10.0.0.8', junk);
    for (const nobody of ['', ' ', ',', 'unknown', 'unknown, ,', ','.repeat(50_000)])
      assert.equal(ipOf('10.1.2.3', nobody), '10.1.2.3', nobody.slice(0, 20));
  });

  it('is found beside empty elements', () => {
    for (const line of [
      '198.51.100.1,',
      '198.51.100.1, ,',
      ',198.51.100.1',
      ', 198.51.100.1,, 10.0.0.8,',
      'unknown, 198.51.100.1',
      '9.9.9.9, 198.51.100.1, , 10.0.0.8,',
    ])
      assert.equal(ipOf('10.1.2.3', line), '198.51.100.1', line);
  });

  it('is read with its port and in quotes, as some proxies write it', () => {
    const addresses: readonly [string, string][] = [
      ['198.51.100.1:4711', '198.51.100.1'],
      ['"198.51.100.1:4711"', '198.51.100.1'],
      ['"[2001:db8::1]:4711"', '2001:db8::1'],
      ['"2001:db8::1"', '2001:db8::1'],
      ['[2001:DB8::1]', '2001:db8::1'],
    ];
    for (const [written, ip] of addresses) {
      assert.equal(ipOf('10.1.2.3', written), ip, written);
      assert.equal(ipOf('10.1.2.3', `9.9.9.9, ${written}, 10.0.0.8:80`), ip, written);
    }
  });

  it('is looked for in 32 hops at most', () => {
    const ip = (hops: number) => ipOf('10.0.0.1', `192.0.2.7,${Array(hops).fill('10.0.0.2').join(', ')}`);
    assert.equal(ip(31), '192.0.2.7');
    assert.equal(ip(32), '10.0.0.2');
    assert.equal(ip(15_000), '10.0.0.2');
  });

  it('loses port and brackets, and is written in one way only', () => {
    assert.equal(ipOf('10.1.2.3', '198.51.100.1:51111'), '198.51.100.1');
    assert.equal(ipOf('10.1.2.3', '[2001:DB8:0::9]:443'), '2001:db8::9');
    assert.equal(ipOf('10.1.2.3', '2001:0db8:0000:0000:0000:0000:0000:0009'), '2001:db8::9');
    for (const [text, expected] of [
      ['0000:0000:0000:0000:0000:ffff:7f00:0001', '127.0.0.1'],
      ['::ffff:127.0.0.1', '127.0.0.1'],
      ['0:0:0:0:0:0:0:1', '::1'],
      ['fe80::1%eth0', undefined],
      ['127.0.0.1 ', undefined],
      ['127.1', undefined],
      ['0x7f.0.0.1', undefined],
    ] as const)
      assert.equal(canonicalIp(text), expected, text);
  });

  it('a trusted peer that is IPv4 behind IPv6 is trusted', () => {
    assert.equal(ipOf('::ffff:10.1.2.3', '198.51.100.1'), '198.51.100.1');
    assert.equal(ipOf('0000:0000:0000:0000:0000:ffff:0a01:0203', '198.51.100.1'), '198.51.100.1');
  });
});

describe('scheme, host and request id', () => {
  const of = (peer: string, headers: Readonly<Record<string, string | readonly string[]>>, secure = false) =>
    proxies.client(peer, secure, lines({ host: 'gw.example:8080', ...headers }));

  it('are the connection\u2019s own unless a trusted peer says other', () => {
    const said = {
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'public.example',
      'x-request-id': 'abc',
    };
    const stranger = of('203.0.113.9', said);
    assert.deepEqual([stranger.proto, stranger.host], ['http', 'gw.example:8080']);
    assert.match(stranger.requestId, UUID);
    assert.deepEqual(of('10.1.2.3', said), {
      ip: '10.1.2.3',
      peer: '10.1.2.3',
      proto: 'https',
      isProtoKnown: true,
      host: 'public.example',
      requestId: 'abc',
      traceContext: undefined,
    });
    assert.equal(of('203.0.113.9', {}, true).proto, 'https');
  });

  it('and the trace likewise', () => {
    const said = {
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      tracestate: 'a=1',
      'x-request-id': 'abc',
    };
    assert.equal(of('203.0.113.9', said).traceContext, undefined);
    assert.deepEqual(of('10.1.2.3', said).traceContext, {
      traceparent: said.traceparent,
      tracestate: said.tracestate,
    });
    assert.equal(of('10.1.2.3', { traceparent: 'x' }).traceContext, undefined);
    assert.ok(isGivenRequestId(of('10.1.2.3', said).requestId, lines(said)));
    assert.ok(!isGivenRequestId(of('203.0.113.9', said).requestId, lines(said)));
  });

  it('come from the first hop of a list', () => {
    assert.equal(of('10.1.2.3', { 'x-forwarded-proto': 'https, http' }).proto, 'https');
    assert.equal(
      of('10.1.2.3', { 'x-forwarded-host': ['a.example, b.example', 'c.example'] }).host,
      'a.example',
    );
    assert.equal(of('10.1.2.3', { 'x-forwarded-proto': 'WSS' }).proto, 'https');
  });

  it('are not believed when they are not what they should be', () => {
    for (const host of ['a b', 'a\r\nx: y', 'a/b', 'a@b', 'x'.repeat(300), '', '"a"', 'a:123456'])
      assert.equal(of('10.1.2.3', { 'x-forwarded-host': host }).host, 'gw.example:8080', host.slice(0, 20));
    for (const proto of ['', 'ftp', 'https ; x', 'javascript'])
      assert.equal(of('10.1.2.3', { 'x-forwarded-proto': proto }, true).proto, 'https', proto);
    for (const id of ['', 'a b', 'a\nb', 'x'.repeat(129), '\u00e9', '"'])
      assert.match(of('10.1.2.3', { 'x-request-id': id }).requestId, UUID, id.slice(0, 20));
    assert.equal(of('10.1.2.3', { 'x-request-id': 'x'.repeat(128) }).requestId.length, 128);
  });
});
