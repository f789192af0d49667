import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodePath } from '../../internal/request/path.js';

describe('a request path', () => {
  it('is percent-decoded once', () => {
    for (const [raw, path] of [
      ['/', '/'],
      ['/ws/mqtt', '/ws/mqtt'],
      ['/%6dqtt', '/mqtt'],
      ['/%C3%A9', '/\u00e9'],
      ['/%2541', '/%41'],
      ['/a%20b', '/a b'],
      ['/a;b', '/a;b'],
      ['//a//', '//a//'],
      ['/a%3Fb', '/a?b'],
      ['/a%23b', '/a#b'],
      ['/...', '/...'],
      ['/a..b/.c', '/a..b/.c'],
      ['/;a/..b;/.c;d', '/;a/..b;/.c;d'],
    ] as const)
      assert.equal(decodePath(raw), path, raw);
  });

  it('that two readers could take for different ones is refused', () => {
    for (const raw of [
      '',
      'ws',
      '*',
      'http://a/ws',
      '/a/../b',
      '/..',
      '/.',
      '/a/.',
      '/./a',
      '/a/%2e%2e/b',
      '/a/..;/b',
      '/a/.;x=1/b',
      '/..;',
      '/a/.%2e%3b/b',
      '/%2E',
      '/a%2fb',
      '/a%2Fb',
      '/a%5cb',
      '/a%5Cb',
      '/a\\b',
      '/a%00',
      '/%',
      '/%4',
      '/%zz',
      '/%u0041',
      '/%c3',
      '/%c0%ae',
      '/%ed%a0%80',
      '/%ff',
      '/%0a',
      '/%0d%0a',
      '/%7f',
      '/a b',
      '/a\tb',
      '/a#b',
      '/\u00e9',
      '/\u0000',
    ])
      assert.equal(decodePath(raw), undefined, JSON.stringify(raw));
  });

  it('once decoded has no dot segment, backslash or control character, whatever came', () => {
    const seed = Number(process.env.FC_SEED ?? 20_240_603);
    const piece = fc.constantFrom(
      '/',
      '.',
      '..',
      '%2e',
      '%2E',
      '%2f',
      '%5c',
      '\\',
      '%00',
      '%',
      '%25',
      '2e',
      'a',
      ';',
      '%c3%a9',
      '%0d',
      '#',
      '?',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const raw = `/${pieces.join('')}`;
        const path = decodePath(raw);
        if (path === undefined) return;
        assert.ok(path.startsWith('/'));
        assert.ok(!path.split('/').some((segment) => segment === '.' || segment === '..'), raw);
        for (const char of path) assert.ok(char >= ' ' && char !== '\\' && char !== '\x7f', raw);
        assert.equal(path.split('/').length, raw.split('/').length, 'no separator appears by decoding');
      }),
      { seed, numRuns: 5000 },
    );
  });
});
