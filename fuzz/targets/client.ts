import assert from 'node:assert/strict';
import { canonicalIp } from '../../internal/request/address.js';
import { TrustedProxies } from '../../internal/request/forwarded.js';
import { isHost } from '../../internal/request/host.js';
import { AllowedOrigins } from '../../internal/request/origin.js';
import type { Target } from '../target.js';

const PEER = '10.0.0.1';
const TRUSTED = ['10.0.0.0/8', 'fd00::/8'];
const proxies = new TrustedProxies(TRUSTED);
const own = new AllowedOrigins();
const listed = new AllowedOrigins(['https://*.example.com', 'http://localhost:*']);

/** Who calls, from which page, by whose word: X-Forwarded-For, -Proto and -Host, Origin and Host. */
export const client: Target = {
  name: 'client',
  maxBytes: 1_024,
  words: [
    '203.0.113.9',
    '10.0.0.2',
    '127.0.0.1:80',
    '"[2001:db8::1]:443"',
    '[::ffff:10.1.2.3]',
    '::ffff:a00:1',
    'fe80::1%eth0',
    'unknown',
    ', ',
    'https',
    'null',
    'https://a.example.com',
    'http://localhost:3000',
    'https://example.com.evil.test',
    'xn--',
    '@',
    ':443',
    '\\',
    '\t',
    '\n',
  ],

  run(input) {
    const text = input.toString('latin1').replaceAll(/[^\t\n\x20-\x7e\x80-\xff]/g, '');
    const [from = '', proto = '', forwardedHost = '', origin = '', host = ''] = text.split('\n');
    const headers = new Map([
      ['x-forwarded-for', from.split('\t')],
      ['x-forwarded-proto', [proto]],
      ['x-forwarded-host', [forwardedHost]],
      ['host', [host]],
    ]);
    const stranger = proxies.client('192.0.2.1', false, headers);
    assert.deepEqual([stranger.ip, stranger.proto, stranger.isProtoKnown], ['192.0.2.1', 'http', false]);
    const { ip, isProtoKnown, host: asked } = proxies.client(PEER, false, headers);
    assert.equal(canonicalIp(ip), ip, 'an address in another form');
    assert.equal(ip, addressBehind(from.split('\t').join(',')), 'another reader, another client');
    const isOwn = isHost(host) && own.allows([origin], host);
    if (isOwn) isPageOf(origin, host);
    const isListed = listed.allows([origin], '');
    if (isListed) isPageListed(origin);
    return `${ip === PEER} ${proxies.trusts(ip)} ${isProtoKnown} ${asked === host} ${isOwn} ${isListed}`;
  },
};

/** From the right, the first that is no trusted proxy; behind one that cannot be read nothing counts. */
function addressBehind(line: string): string {
  let ip = PEER;
  for (const element of line.split(',').reverse().slice(0, 32)) {
    const text = element.trim();
    if (text === '') continue;
    const hop = canonicalIp(text.replace(/^"([^"\\]*)"$/, '$1'));
    if (hop === undefined) return ip;
    ip = hop;
    if (!proxies.trusts(ip)) return ip;
  }
  return ip;
}

function isPageOf(origin: string, host: string): void {
  const page = new URL(origin);
  assert.match(page.protocol, /^https?:$/);
  assert.equal(page.host, new URL(`${page.protocol}//${host}`).host, 'a page of another host');
  isNothingElse(page, origin);
}

function isPageListed(origin: string): void {
  const page = new URL(origin);
  assert.match(page.origin, /^(?:https:\/\/.+\.example\.com|http:\/\/localhost(?::\d+)?)$/, 'another page');
  isNothingElse(page, origin);
}

function isNothingElse({ username, password, pathname, search, hash }: URL, origin: string): void {
  assert.deepEqual([username, password, pathname, search, hash], ['', '', '/', '', ''], origin);
}
