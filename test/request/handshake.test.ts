import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkHandshake } from '../../internal/request/handshake.js';
import type { RequestHead } from '../../internal/request/head.js';
import { type HeadLines, handshakeHead as head, KEY } from '../support/protocols/handshake-head.js';

describe('RFC 6455 section 4.2.1', () => {
  const cases: readonly (readonly [string, HeadLines, Partial<RequestHead>, 400 | 426 | undefined])[] = [
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
    ['a Host that is none', { host: 'a:x' }, {}, 400],
    ['a Host with port 0', { host: 'a:0' }, {}, 400],
    ['a Host with a port that is none', { host: '[::1]:65536' }, {}, 400],
    ['a Host with an empty port', { host: 'a:' }, {}, undefined],
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
