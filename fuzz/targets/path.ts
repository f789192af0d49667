import assert from 'node:assert/strict';
import { decodePath } from '../../internal/request/path.js';
import type { Target } from '../target.js';

/** A request path, held against the WHATWG URL parser: what both read they read alike. */
export const path: Target = {
  name: 'path',
  maxBytes: 256,
  words: [
    '/..',
    '/./',
    '%2e%2e',
    '%2F',
    '%5c',
    '%00',
    '%c3%a4',
    '%ed%a0%80',
    '%c0%ae',
    '/%',
    '//h',
    ';',
    '@',
    ':80',
  ],

  run(input) {
    // A target stands in a head: one character a byte, the query cut off.
    const raw = input.toString('latin1').split('?', 1)[0] ?? '';
    const decoded = decodePath(raw);
    if (decoded === undefined) return 'refused';
    assert.match(raw, /^\/[!-~]*$/);
    assert.ok(!decoded.split('/').some((segment) => segment === '.' || segment === '..'));
    for (const character of decoded)
      assert.ok(character > '\x1f' && character !== '\x7f' && character !== '\\');
    assert.equal(decoded.split('/').length, raw.split('/').length, 'decoding makes no segments');
    assert.equal(
      decodeURIComponent(new URL(`http://h${raw}`).pathname),
      decoded,
      'another reader, another path',
    );
    const encoded = decoded.split('/').map(encodeURIComponent).join('/');
    // What was encoded twice may be a trap once it is decoded: it is refused then.
    assert.ok([decoded, undefined].includes(decodePath(encoded)));
    return `${decoded === raw} ${decoded.includes('%')} ${/[^\0-\x7f]/.test(decoded)}`;
  },
};
