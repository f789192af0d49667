import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  tokenInHandshake,
  withoutTokenCookie,
  withoutTokenParameters,
} from '../../../internal/auth/identity/credentials.js';
import { isTokenShaped, looksLikeJwt } from '../../../internal/auth/identity/jwt-shape.js';
import { compact } from '../parts.js';

const CONFIG = {
  headerNames: ['authorization', 'x-token'],
  subprotocolNames: ['bearer'],
  cookieName: 'session',
  queryNames: ['token', 'access_token'],
};
const JWT = compact({ alg: 'RS256' }, { sub: 'a' }, 'c2ln');
const OTHER = compact({ alg: 'RS256' }, { sub: 'b' }, 'c2ln');

function find(
  headers: Record<string, string | string[]>,
  query = '',
  cookie: 'any' | 'jwt' = 'any',
): string | undefined {
  const map = new Map(Object.entries(headers).map(([name, lines]) => [name, [lines].flat()]));
  return tokenInHandshake(CONFIG, { headers: map, query }, cookie)?.token;
}

describe('the token in a handshake', () => {
  test('comes with the place where it was', () => {
    const place = (name: string, line: string, query = '') =>
      tokenInHandshake(CONFIG, { headers: new Map([[name, [line]]]), query }, 'any')?.place;
    const [header = ''] = CONFIG.headerNames;
    const [parameter = ''] = CONFIG.queryNames;
    assert.equal(place(header, `Bearer ${JWT}`), `header ${header}`);
    assert.equal(place('cookie', `${CONFIG.cookieName}=${JWT}`), `cookie ${CONFIG.cookieName}`);
    assert.equal(place('x', '', `${parameter}=${JWT}`), `query parameter ${parameter}`);
  });

  test('a sub-protocol is asked after the headers and before the cookie', () => {
    const found = (headers: Record<string, string>) =>
      tokenInHandshake(
        CONFIG,
        {
          headers: new Map(Object.entries(headers).map(([name, line]) => [name, [line]])),
          query: 'token=query',
          announced: { token: 'announced', name: 'bearer' },
        },
        'any',
      );
    assert.deepEqual(found({ cookie: 'session=cookie' }), { token: 'announced', place: 'sub-protocol' });
    assert.equal(found({ authorization: 'Bearer header' })?.token, 'header');
  });

  test('header, cookie and query are asked in this order', () => {
    const cookie = `session=cookie`;
    assert.equal(find({ authorization: 'Bearer header', cookie }, 'token=query'), 'header');
    assert.equal(find({ 'x-token': JWT, cookie }, 'token=query'), JWT);
    assert.equal(find({ cookie }, 'token=query'), 'cookie');
    assert.equal(find({}, 'token=query'), 'query');
    assert.equal(find({}), undefined);
  });

  test('the order of the configured names decides between headers and between parameters', () => {
    assert.equal(find({ 'x-token': OTHER, authorization: JWT }), JWT);
    assert.equal(find({}, 'access_token=second&token=first'), 'first');
  });

  test('the scheme is taken in any case and with any blanks', () => {
    for (const value of ['Bearer x', 'bearer x', 'BEARER   x', 'bEaReR\tx', '  Bearer x  '])
      assert.equal(find({ authorization: value }), 'x', value);
  });

  test('a header that holds no token passes the question on', () => {
    for (const value of [
      '',
      'Bearer',
      'Bearer ',
      'Basic dXNlcjpwYXNz',
      'x',
      'a.b',
      'a.b.c.d',
      'Bearerx',
      'a b.c.d',
    ])
      assert.equal(find({ authorization: value, cookie: 'session=next' }), 'next', value);
  });

  test('of several lines of a header the first with a token counts', () => {
    assert.equal(find({ authorization: ['Basic eA==', 'Bearer one', 'Bearer two'] }), 'one');
  });

  test('the cookie is found in every syntax a browser or proxy may send', () => {
    const cases: [string | string[], string | undefined][] = [
      ['session=x', 'x'],
      ['a=1; session=x; b=2', 'x'],
      ['a=1;session=x', 'x'],
      [['a=1', 'b=2; session=x'], 'x'],
      ['session="x"', 'x'],
      ['session = x', 'x'],
      ['session=x=y==', 'x=y=='],
      ['session=first; session=second', 'first'],
      [['session=first', 'session=second'], 'first'],
      ['session=', undefined],
      ['session', undefined],
      ['Session=x', undefined],
      ['xsession=x; sessionx=x; =session', undefined],
      ['a="session=x"', undefined],
      ['session=; session=second', 'second'],
      ['__proto__=x; constructor=y', undefined],
    ];
    for (const [cookie, expected] of cases) assert.equal(find({ cookie }), expected, String(cookie));
  });

  test('of several cookies of the name the first that looks like a token counts', () => {
    const cookie = `session=s%3Aold.signature; a=1; session=${JWT}; session=${OTHER}`;
    assert.equal(find({ cookie }), JWT);
    assert.equal(find({ cookie }, '', 'jwt'), JWT);
    assert.equal(find({ cookie: ['session=1.2.3', `session=${JWT}`] }), JWT);
    assert.equal(find({ cookie: 'session=old; session=older' }), 'old');
    assert.equal(find({ cookie: 'session=old; session=older' }, '', 'jwt'), undefined);
  });

  test('a cookie that was cut into pieces is put together again', () => {
    const [one, two, three] = [JWT.slice(0, 10), JWT.slice(10, 25), JWT.slice(25)];
    const cases: [string | string[], string | undefined][] = [
      [`session.0=${one}; session.1=${two}; session.2=${three}`, JWT],
      [[`session.1=${two}; session.2=${three}`, `a=1; session.0=${one}`], JWT],
      [`session.0=${one}; session.1=${two}; session.2=${three}; session.4=x`, JWT],
      [`session.0=${one}; session.1=${two}; session.2=${three}; session.0=x`, JWT],
      [`session=old; session.0=${one}; session.1=${two}; session.2=${three}`, JWT],
      [`session=${OTHER}; session.0=${one}; session.1=${two}; session.2=${three}`, OTHER],
      [`session.0=${one}; session.2=${three}`, one],
      [`session.1=${two}`, undefined],
      [`sessionX0=${JWT}; session.a=${JWT}; session.=${JWT}; session.0x=${JWT}; Session.0=${JWT}`, undefined],
    ];
    for (const [cookie, expected] of cases) assert.equal(find({ cookie }), expected, String(cookie));
    assert.equal(find({ cookie: `session.0=${one}; session.2=${three}` }, '', 'jwt'), undefined);
  });

  test('parameters are decoded as forms are', () => {
    const cases: [string, string | undefined][] = [
      ['token=x', 'x'],
      ['a=1&token=x', 'x'],
      ['%74oken=x', 'x'],
      ['token=%78', 'x'],
      ['token=x&token=y', 'x'],
      ['token=&token=y', 'y'],
      ['token=%ff', '%ff'],
      ['token', undefined],
      ['Token=x', undefined],
      ['a=token=x', undefined],
      ['%ff=1&%=2', undefined],
    ];
    for (const [query, expected] of cases) assert.equal(find({}, query), expected, query);
  });

  test('on a public route a session cookie that is no JWT is no token', () => {
    for (const value of ['abc', '1.2.3', 'a.b.c', 's:abc.def', '"1.2.3"']) {
      assert.equal(find({ cookie: `session=${value}` }, '', 'jwt'), undefined, value);
      assert.equal(find({ cookie: `session=${value}` }, `token=${JWT}`, 'jwt'), JWT, value);
    }
    // What stands in a header or parameter for tokens was sent as one.
    assert.equal(find({ authorization: 'Bearer opaque' }, '', 'jwt'), 'opaque');
    assert.equal(find({ cookie: 'session=abc' }, 'token=opaque', 'jwt'), 'opaque');
    assert.equal(find({ cookie: `session=${JWT}` }, '', 'jwt'), JWT);
  });

  test('64 KiB of separators are read in no time', () => {
    const startMs = performance.now();
    for (const filler of [';', '=', ' ', '"', '&', '%', '+', '.', 'a.', 'Bearer ', '\t']) {
      const flood = filler.repeat(65_536 / filler.length);
      find({ authorization: [flood, `Bearer${flood}`], cookie: flood }, flood, 'jwt');
      withoutTokenCookie([flood], 'session');
      withoutTokenParameters(flood, CONFIG.queryNames);
      isTokenShaped(flood);
    }
    assert.ok(performance.now() - startMs < 2000);
  });
});

describe('what is passed on', () => {
  test('every cookie of the name is taken out and the others stay as they came', () => {
    const cases: [string[], string | undefined][] = [
      [['a=1; session=x; b="2"'], 'a=1; b="2"'],
      [['session=x; a=1', 'session=y; b=2'], 'a=1; b=2'],
      [['session=x; session = "y"'], undefined],
      [['a; Session=1;;  b==;'], 'a; Session=1; b=='],
      [['session.0=x; a=1; session.1=y; session.x=2'], 'a=1; session.x=2'],
      [[], undefined],
    ];
    for (const [lines, expected] of cases) assert.equal(withoutTokenCookie(lines, 'session'), expected);
  });

  test('every token parameter is taken out and the others stay byte by byte', () => {
    const cases: [string, string][] = [
      ['token=x', ''],
      ['a=%41+b&token=x&&c', 'a=%41+b&&c'],
      ['%74%6Fken=x&tok%65n=y&a=1', 'a=1'],
      ['access_token=x&token&b=token', 'b=token'],
      ['Token=x&token%20=1&tokens=2&%ff=3', 'Token=x&token%20=1&tokens=2&%ff=3'],
      ['', ''],
    ];
    for (const [query, expected] of cases)
      assert.equal(withoutTokenParameters(query, CONFIG.queryNames), expected, query);
  });
});

describe('the shape of a token', () => {
  test('three base64url parts are one, whatever they hold', () => {
    for (const text of [JWT, 'a.b.c', 'e30.e30.', 'A-_9.b.c']) assert.equal(isTokenShaped(text), true, text);
  });

  test('all else is not', () => {
    const texts = [
      '',
      '.',
      '..',
      'a.b',
      'a..c',
      '.b.c',
      'a.b.c.d',
      'a.b.c.d.e',
      'a+.b.c',
      'a=.b.c',
      'a.b.c\n',
      ' a.b.c',
    ];
    for (const text of texts) assert.equal(isTokenShaped(text), false, JSON.stringify(text));
    assert.equal(isTokenShaped(`${'a'.repeat(65_536)}.b.c`), false);
  });

  test('a JWT has a JSON object for a header', () => {
    assert.equal(looksLikeJwt(JWT), true);
    for (const text of ['a.b.c', '1.2.3', 'W10.e30.x', 'bnVsbA.e30.x'])
      assert.equal(looksLikeJwt(text), false, text);
  });
});
