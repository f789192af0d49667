import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CorsRule } from '../../internal/config/config.js';
import { Cors } from '../../internal/exchange/cors.js';
import { isForgedAcrossSites } from '../../internal/exchange/cross-site.js';
import { respondWith } from '../../internal/exchange/local/respond.js';
import { judgeMethod } from '../../internal/exchange/methods.js';
import { withSecurityHeaders } from '../../internal/exchange/security-headers.js';
import { AllowedOrigins } from '../../internal/request/origin.js';

const linesOf = (headers: Readonly<Record<string, string>>) =>
  new Map(Object.entries(headers).map(([name, value]) => [name, [value]]));

describe('methods', () => {
  it('are all but CONNECT and TRACE', () => {
    for (const method of ['GET', 'HEAD', 'PROPFIND', 'get'])
      assert.equal(judgeMethod(method, undefined), undefined);
    for (const method of ['CONNECT', 'TRACE']) {
      assert.deepEqual(judgeMethod(method, undefined), { status: 501 });
      assert.deepEqual(judgeMethod(method, ['GET']), { status: 501 });
    }
  });

  it('that a route does not list get 405 with those it does', () => {
    assert.deepEqual(judgeMethod('POST', ['GET', 'HEAD']), { status: 405, allow: 'GET, HEAD' });
    assert.deepEqual(judgeMethod('get', ['GET', 'HEAD']), { status: 405, allow: 'GET, HEAD' });
    assert.equal(judgeMethod('HEAD', ['GET', 'HEAD']), undefined);
  });
});

describe('a request across sites', () => {
  const own = new AllowedOrigins();
  const forged = (method: string, headers: Readonly<Record<string, string>>, ...origins: AllowedOrigins[]) =>
    isForgedAcrossSites({ method, headers: linesOf(headers), host: 'gw.example', scheme: 'https' }, [
      own,
      ...origins,
    ]);

  it('changes nothing by GET, HEAD, OPTIONS', () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS'])
      assert.equal(forged(method, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }), false);
  });

  it('is refused unless its Origin is allowed', () => {
    for (const origin of [
      'https://evil.example',
      'null',
      'http://gw.example',
      'https://gw.example:444',
      '',
      'https://gw.example.evil.example',
    ])
      assert.equal(forged('POST', { origin }), true, origin);
    assert.equal(forged('POST', { origin: 'https://gw.example' }), false);
    assert.equal(
      forged('POST', { origin: 'https://app.example' }, new AllowedOrigins(['https://app.example'])),
      false,
    );
  });

  it('without an Origin is known by Sec-Fetch-Site', () => {
    assert.equal(forged('DELETE', { 'sec-fetch-site': 'cross-site' }), true);
    for (const site of ['same-origin', 'same-site', 'none'])
      assert.equal(forged('DELETE', { 'sec-fetch-site': site }), false);
    assert.equal(forged('DELETE', {}), false);
  });

  it('with an allowed Origin may be cross-site', () => {
    const headers = { origin: 'https://app.example', 'sec-fetch-site': 'cross-site' };
    assert.equal(forged('POST', headers, new AllowedOrigins(['https://app.example'])), false);
    assert.equal(forged('POST', headers), true);
  });
});

describe('CORS', () => {
  const rule: CorsRule = {
    origins: ['https://*.example.com'],
    methods: [],
    headers: ['X-A', 'Content-Type'],
    expose: ['ETag'],
    credentials: true,
    maxAgeSeconds: 60,
  };
  const asked = { origin: 'https://app.example.com', 'access-control-request-method': 'PUT' };

  it('answers preflights of pages that may', () => {
    assert.deepEqual(new Cors(rule, ['GET', 'HEAD', 'PUT']).preflight('OPTIONS', linesOf(asked)), [
      ...['Access-Control-Allow-Origin', 'https://app.example.com'],
      ...['Access-Control-Allow-Credentials', 'true'],
      ...['Access-Control-Allow-Methods', 'GET, HEAD, PUT'],
      ...['Access-Control-Allow-Headers', 'X-A, Content-Type'],
      ...['Access-Control-Max-Age', '60'],
      ...['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
    ]);
  });

  it('permits other pages nothing', () => {
    for (const origin of [
      'https://example.com',
      'null',
      'https://evil.example',
      'http://app.example.com',
      'https://app.example.com.evil.example',
    ])
      assert.deepEqual(new Cors(rule, undefined).preflight('OPTIONS', linesOf({ ...asked, origin })), [
        'Vary',
        'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      ]);
  });

  it('leaves what is no preflight to the route', () => {
    const cors = new Cors(rule, undefined);
    assert.equal(cors.preflight('OPTIONS', linesOf({ origin: 'https://app.example.com' })), undefined);
    assert.equal(cors.preflight('OPTIONS', linesOf({ 'access-control-request-method': 'PUT' })), undefined);
    assert.equal(cors.preflight('PUT', linesOf(asked)), undefined);
  });

  it("replaces the upstream's own say", () => {
    const answer = [
      'ACCESS-control-allow-origin',
      '*',
      'Access-Control-Allow-Credentials',
      'true',
      'ETag',
      '"x"',
    ];
    assert.deepEqual(new Cors(rule, undefined).permit(answer, linesOf({ origin: 'https://a.example.com' })), [
      ...['ETag', '"x"', 'Vary', 'Origin', 'Access-Control-Allow-Origin', 'https://a.example.com'],
      ...['Access-Control-Allow-Credentials', 'true', 'Access-Control-Expose-Headers', 'ETag'],
    ]);
    assert.deepEqual(new Cors(rule, undefined).permit(answer, linesOf({ origin: 'https://evil.example' })), [
      ...['ETag', '"x"', 'Vary', 'Origin'],
    ]);
    assert.deepEqual(new Cors(rule, undefined).permit(answer, new Map()), ['ETag', '"x"', 'Vary', 'Origin']);
  });

  it('says * to everybody where everybody may, and needs no Vary for it', () => {
    const open = new Cors({ ...rule, origins: ['*'], credentials: false, expose: [] }, undefined);
    assert.deepEqual(open.permit([], linesOf({ origin: 'null' })), ['Access-Control-Allow-Origin', '*']);
  });
});

describe('security headers', () => {
  it('are added where the answer has none, and what tells of the software goes', () => {
    assert.deepEqual(
      withSecurityHeaders(['Server', 'x/1', 'X-Powered-By', 'y', 'x-frame-options', 'SAMEORIGIN'], false),
      [
        ...['x-frame-options', 'SAMEORIGIN', 'X-Content-Type-Options', 'nosniff'],
        ...['Referrer-Policy', 'strict-origin-when-cross-origin'],
      ],
    );
  });

  it('have HSTS where the client came by https', () => {
    const secure = withSecurityHeaders([], true);
    assert.equal(secure[secure.indexOf('Strict-Transport-Security') + 1], 'max-age=31536000');
    assert.ok(!withSecurityHeaders([], false).includes('Strict-Transport-Security'));
  });
});

describe('respond', () => {
  it('is text unless it says otherwise, and has no body where the status has none', () => {
    const headers = [{ name: 'content-type', value: 'application/json' }];
    assert.deepEqual(respondWith({ respond: { status: 200, body: 'hi', headers: [] } }), {
      status: 200,
      headers: ['Content-Type', 'text/plain; charset=utf-8'],
      body: Buffer.from('hi'),
    });
    assert.deepEqual(respondWith({ respond: { status: 200, body: '{}', headers } }).headers, [
      'content-type',
      'application/json',
    ]);
    assert.deepEqual(respondWith({ respond: { status: 204, body: 'hi', headers: [] } }), {
      status: 204,
      headers: [],
      body: Buffer.alloc(0),
    });
  });
});
