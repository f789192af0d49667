import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressBlock, clientKey } from '../../internal/request/client-key.js';

test('an IPv4 address is a client of its own, an IPv6 address one of its /64', () => {
  const blocks: Readonly<Record<string, string>> = {
    '198.51.100.1': '198.51.100.1',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '2001:db8:1:2:ffff:ffff:ffff:ffff': '2001:db8:1:2::/64',
    '2001:db8:1:2::': '2001:db8:1:2::/64',
    '2001:db8:1:2::7': '2001:db8:1:2::/64',
    '2001:db8:1:3::7': '2001:db8:1:3::/64',
    '2001:db8::7': '2001:db8:0:0::/64',
    '2001:db8:0:0:1::': '2001:db8:0:0::/64',
    '::1': '0:0:0:0::/64',
    '::': '0:0:0:0::/64',
    '1::8': '1:0:0:0::/64',
  };
  for (const [ip, block] of Object.entries(blocks)) assert.equal(addressBlock(ip), block, ip);
});

test('a subject that is written like an address is another client than the address', () => {
  assert.notEqual(clientKey('10.0.0.5', '192.0.2.1'), clientKey(undefined, '10.0.0.5'));
  assert.equal(clientKey('alice', '192.0.2.1'), clientKey('alice', '192.0.2.2'));
  assert.equal(clientKey(undefined, '2001:db8::1'), clientKey(undefined, '2001:db8::2'));
});
