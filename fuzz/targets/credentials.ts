import assert from 'node:assert/strict';
import { readOffer } from '../../internal/auth/identity/announced-token.js';
import {
  tokenInHandshake,
  withoutTokenCookie,
  withoutTokenParameters,
} from '../../internal/auth/identity/credentials.js';
import { cookiePairs } from '../../internal/request/cookies.js';
import type { Target } from '../target.js';

const NAMES = {
  headerNames: ['authorization', 'x-token'],
  subprotocolNames: ['bearer', 'access_token'],
  cookieName: 'token',
  queryNames: ['token', 'access_token'],
};

/**
 * Where tokens may be in an opening handshake: lines of `authorization`, `x-token`, `cookie`,
 * sub-protocols, the query.
 */
export const credentials: Target = {
  name: 'credentials',
  maxBytes: 1_024,
  words: [
    'Bearer a.b.c',
    'bearer\ta',
    'eyJhbGciOiJub25lIn0.e30.',
    'token=',
    'token.0=',
    'token.1=',
    '; ',
    '"',
    'access_token=',
    '&',
    '%74oken=x',
    'to%6Ben=',
    '+',
    '%ff',
    'bearer, ',
    'base64url.bearer.authorization.k8s.io.',
    '\n',
    '\xa0',
  ].map((word) => Buffer.from(word, 'latin1')),

  run(input, random) {
    // Heads are kept one character a byte; no line holds a control but the tab.
    const text = input.toString('latin1').replaceAll(/[^\t\n\x20-\x7e\x80-\xff]/g, '');
    const [authorization = '', own = '', cookies = '', offer = '', rest = ''] = text.split('\n');
    const query = rest.replaceAll(/[^!-~\x80-\xff]/g, '');
    const cookieLines = cookies.split('\t');
    const offered = offer.split(',').map((each) => each.trim());
    const { subprotocols, announced } = readOffer(offered, NAMES.subprotocolNames);
    offerIsTakenApart(offered, subprotocols);
    const headers = new Map([
      ['authorization', authorization === '' ? [] : [authorization]],
      ['x-token', own === '' ? [] : own.split('\t')],
      ['cookie', cookieLines],
    ]);
    const mode = random.pick(['any', 'jwt'] as const);
    const found = tokenInHandshake(NAMES, { headers, query, announced }, mode);
    if (found !== undefined) assert.notEqual(found.token, '');
    queryIsCleared(query);
    cookiesAreCleared(cookieLines);
    return `${found?.place} ${announced?.name === undefined} ${announced?.token === ''} ${subprotocols.length > 0}`;
  },
};

/** What is left of a list is in it, in its order, and holds no token. */
function offerIsTakenApart(offered: readonly string[], left: readonly string[]): void {
  isPartOf(left, offered);
  const again = readOffer(left, NAMES.subprotocolNames);
  for (const each of left) assert.doesNotMatch(each, /^base64url\.bearer\.authorization\..*\.[\w-]*$/i);
  assert.deepEqual(again.subprotocols.length <= left.length, true);
}

/** No reader of the cleared query finds a token in it, nor anything that was not there. */
function queryIsCleared(query: string): void {
  const cleared = withoutTokenParameters(query, NAMES.queryNames);
  isPartOf(cleared.split('&'), query === '' ? [''] : ['', ...query.split('&')]);
  const parameters = new URLSearchParams(`&${cleared}`);
  const before = new URLSearchParams(`&${query}`);
  for (const name of NAMES.queryNames)
    assert.equal(parameters.has(name), false, 'a token stays in the query');
  const found = tokenInHandshake(NAMES, { headers: new Map(), query }, 'any');
  const expected = NAMES.queryNames.flatMap((name) => before.getAll(name)).find((value) => value !== '');
  // What is no UTF-8 once decoded, and a % without two digits, each reads in its own way.
  if (!/%(?![\da-f]{2})|[^\0-\x7f]/i.test(query) && !String(expected).includes('\ufffd'))
    assert.equal(found?.token, expected, 'another reader, another token');
}

function cookiesAreCleared(lines: readonly string[]): void {
  const cleared = withoutTokenCookie(lines, NAMES.cookieName);
  const left = cleared === undefined ? [] : [cleared];
  assert.equal(
    tokenInHandshake(NAMES, { headers: new Map([['cookie', left]]), query: '' }, 'any'),
    undefined,
  );
  isPartOf(textsOf(left), textsOf(lines));
}

function textsOf(lines: readonly string[]): readonly string[] {
  return [...cookiePairs(lines)].map(({ text }) => text);
}

function isPartOf(part: readonly string[], whole: readonly string[]): void {
  let at = 0;
  for (const each of part) {
    at = whole.indexOf(each, at) + 1;
    assert.ok(at > 0, 'what is left is not what came');
  }
}
