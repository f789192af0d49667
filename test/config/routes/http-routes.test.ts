import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Route } from '../../../internal/config/config.js';
import { NO_CLIENT_RULES, NO_TOKEN_RULES } from '../../../internal/config/config.js';
import { parseRoutes } from '../../../internal/config/routes/routes.js';
import { directory, linesOf, put } from '../files.js';
import { EXCHANGE_DEFAULTS, HTTP_DEFAULTS, NO_BACKENDS } from '../route-defaults.js';

const CONTEXT = {
  ...NO_BACKENDS,
  respondVariables: { NODE_NAME: 'node-1' },
};

const parse = (text: string, fileName = 'routes.yaml') => parseRoutes(text, fileName, CONTEXT);

function routesOf(text: string, fileName?: string): readonly Route[] {
  const result = parse(text, fileName);
  assert.ok('table' in result, linesOf(result).join('\n'));
  return result.table.routes;
}

const problemsOf = (entry: object | string, fileName?: string) =>
  linesOf(parse(typeof entry === 'string' ? entry : JSON.stringify([entry]), fileName));

const http = (keys: object) => ({ prefix: '/a', upstream: 'http://a', ...keys });

describe('an HTTP route', () => {
  it('has the documented defaults', () => {
    assert.deepEqual(routesOf('- {prefix: /a, upstream: ["http://a", "https://b/base"]}'), [
      { ...HTTP_DEFAULTS, prefix: '/a', upstreams: ['http://a', 'https://b/base'], weights: [1, 1] },
    ]);
  });

  it('takes every key', () => {
    const [route] = routesOf(`
- prefix: /a
  upstream: http://a
  methods: [GET, POST, GET]
  preserveHost: true
  forwardToken: false
  webSocket: false
  maxBodyBytes: 0
  timeouts: {connect: 0.5, idle: 10}
  requestHeaders: {set: {X-User: "{sub} {claim.org.id}", X-Json: '{"a":1}'}, remove: [Accept-Language]}
  responseHeaders: {set: {X-Request: "{requestId}"}, remove: [ETag]}
  securityHeaders: false
  rateLimit: {perMinute: 5, by: ip}
  cors: {origins: ["https://*.example.com"], methods: [PUT], headers: [X-A], expose: [ETag], credentials: true, maxAge: 60}
`);
    assert.ok(route?.kind === 'http');
    assert.deepEqual(route.methods, ['GET', 'HEAD', 'POST']);
    assert.deepEqual(route.timeouts, { connectMs: 500, answerMs: 60_000, idleMs: 10_000 });
    assert.deepEqual(route.requestHeaders, {
      set: [
        { name: 'X-User', value: '{sub} {claim.org.id}' },
        { name: 'X-Json', value: '{"a":1}' },
      ],
      remove: ['accept-language'],
    });
    assert.deepEqual(route.responseHeaders.set, [{ name: 'X-Request', value: '{requestId}' }]);
    assert.deepEqual(route.requestLimit, { requests: 5, perMs: 60_000, burst: 5, by: 'ip' });
    assert.deepEqual(route.cors, {
      origins: ['https://*.example.com'],
      methods: ['PUT'],
      headers: ['X-A'],
      expose: ['ETag'],
      credentials: true,
      maxAgeSeconds: 60,
    });
    const { preserveHost, forwardToken, webSocket, maxBodyBytes, securityHeaders } = route;
    assert.deepEqual(
      [preserveHost, forwardToken, webSocket, maxBodyBytes, securityHeaders],
      [true, false, false, 0, false],
    );
  });

  it('has upstreams of one kind', () => {
    assert.match(
      problemsOf(http({ upstream: ['http://a', 'ws://b'] }))[0] ?? '',
      /^routes.yaml:1: upstream\[1\]: .* must be a http:\/\/ or https:\/\/ URL/,
    );
  });

  it('has placeholders for a whole host or a whole port of an upstream, and for nothing else', () => {
    for (const upstream of [
      'http://a/{desktop}',
      'http://a/x?y={desktop}',
      'http://x-{desktop}/',
      'http://{desktop}.example/',
      'http://a:1{desktop}/',
      'http://{desktop}/{desktop}',
    ])
      assert.match(problemsOf(http({ upstream }))[0] ?? '', /:1: upstream: .* must be a http/, upstream);
  });

  it('may use forwardToken on WebSocket routes, too', () => {
    const [route] = routesOf('- {prefix: /a, upstream: "ws://a", forwardToken: false}');
    assert.ok(route?.kind === 'websocket');
    assert.equal(route.forwardToken, false);
  });

  const bad: Readonly<Record<string, readonly (readonly [unknown, RegExp])[]>> = {
    methods: [
      [[], /methods: /],
      [['get'], /methods\[0\]: /],
      [['TRACE'], /methods\[0\]: .*not CONNECT or TRACE/],
    ],
    maxBodyBytes: [
      [-1, /maxBodyBytes/],
      ['1', /maxBodyBytes/],
    ],
    timeouts: [
      [{ connect: 0 }, /timeouts.connect/],
      [{ read: 1 }, /timeouts.read: is not a key/],
    ],
    rateLimit: [
      [{ burst: 1 }, /rateLimit: must name one of perSecond and perMinute/],
      [{ perSecond: 1, perMinute: 1 }, /rateLimit: must name one of/],
      [{ perSecond: 0 }, /rateLimit.perSecond/],
      [{ perSecond: 1, by: 'user' }, /rateLimit.by/],
    ],
    requestHeaders: [
      [{ set: { Host: 'x' } }, /requestHeaders.set.Host/],
      [{ set: { 'Transfer-Encoding': 'chunked' } }, /requestHeaders.set.Transfer-Encoding/],
      [{ set: { Content_Length: '1' } }, /requestHeaders.set.Content_Length/],
      [{ set: { 'X-A': 'a\r\nb' } }, /requestHeaders.set.X-A/],
      [{ set: { 'X-A': '{user}' } }, /requestHeaders.set.X-A: \{user\} is not known/],
      [{ set: { 'X-A': '{claim.}' } }, /requestHeaders.set.X-A: \{claim.\} is not known/],
      [{ set: { 'X-A': 'a', 'x-a': 'b' } }, /requestHeaders.set.x-a: is given twice/],
      [{ remove: ['Connection'] }, /requestHeaders.remove\[0\]/],
    ],
    cors: [
      [{}, /cors.origins: is required/],
      [{ origins: ['example.com/'] }, /cors.origins\[0\]/],
      [{ origins: ['*'], credentials: true }, /cors.origins: \* does not go with credentials/],
      [{ origins: ['https://a'], headers: ['*'], credentials: true }, /cors.headers: \* does not go/],
    ],
    auth: [
      ['none', /auth: .*required or public/],
      [{ header: 'X-User' }, /auth.from: is required/],
      [{ header: 'Authorization', from: ['10.0.0.0/8'] }, /auth.header/],
      [{ header: 'X-User', from: ['10.0.0.0/33'] }, /auth.from\[0\]/],
      [{ header: 'X-User', from: ['10.0.0.1'], role: 'x' }, /auth.role: is not a key/],
      [{ header: 'X-User', roles: 'x-user', from: ['10.0.0.1'] }, /auth.roles: is the same as header/],
    ],
    respond: [[{}, /upstream: stands alone/]],
  };
  for (const [key, cases] of Object.entries(bad))
    it(`with a bad ${key} is an error with its line`, () => {
      for (const [value, expected] of cases) {
        const lines = problemsOf(http({ [key]: value }));
        assert.match(lines[0] ?? '', new RegExp(`^routes.yaml:1: ${expected.source}`), JSON.stringify(value));
      }
    });

  it('has keys that WebSocket routes have not', () => {
    const [line = ''] = problemsOf('- prefix: /a\n  upstream: ws://a\n  methods: [GET]\n');
    assert.match(line, /^routes.yaml:3: methods: goes with http:\/\/ and https:\/\/ upstreams, respond/);
  });
});

describe('an identity from a header', () => {
  it('is taken with its defaults, names in lower case', () => {
    const [route] = routesOf(
      '- {prefix: /a, upstream: "ws://a", auth: {header: X-Authentik-Username, from: [10.0.0.0/8]}, requireRoles: [r]}',
    );
    assert.deepEqual(route?.auth, {
      header: 'x-authentik-username',
      stripDomain: false,
      name: undefined,
      roles: undefined,
      separator: ',',
      from: ['10.0.0.0/8'],
    });
  });

  it('needs no source of verification keys', () => {
    const text = '- {prefix: /a, upstream: "http://a", auth: {header: X-U, from: ["::1"]}}';
    assert.deepEqual(linesOf(parseRoutes(text, 'routes.yaml', { ...CONTEXT, keySourceGiven: false })), []);
  });
});

describe('a mapping with the list under routes', () => {
  it('is the same as the list', () => {
    const list = '- {prefix: /a, upstream: "http://a"}\n';
    assert.deepEqual(routesOf(`routes:\n${list}`), routesOf(list));
  });

  it('has its lines, too', () => {
    assert.deepEqual(
      problemsOf('- {prefix: /a, upstream: "ws://a",\n   ratelimit: {perSecond: 1, burst: 1}}\n'),
      ['routes.yaml:2: ratelimit: is not a key that is known here; did you mean rateLimit?'],
    );
    assert.deepEqual(problemsOf('routes:\n  - prefix: /a\n    upstream: ws://a\n    colour: red\n'), [
      'routes.yaml:4: colour: is not a key that is known here',
    ]);
    assert.match(problemsOf('routes: 7\n')[0] ?? '', /^routes.yaml:1: routes: must be a list/);
    assert.match(problemsOf('route: []\n')[0] ?? '', /^routes.yaml:1: routes: must be a list of routes/);
    assert.match(
      problemsOf('colour: red\nroutes:\n  - {prefix: /a, upstream: "ws://a"}\n')[0] ?? '',
      /^routes.yaml:1: colour: is not a key/,
    );
  });
});

describe('a local route', () => {
  it('respond holds its body with the variables filled in', () => {
    const [route] = routesOf(
      `- {prefix: /a, respond: {status: 418, body: "on \${NODE_NAME}", headers: {X-A: b}}, auth: public}`,
    );
    assert.deepEqual(route, {
      kind: 'respond',
      prefix: '/a',
      auth: 'public',
      requireRoles: [],
      tokens: NO_TOKEN_RULES,
      clients: NO_CLIENT_RULES,
      ...EXCHANGE_DEFAULTS,
      respond: { status: 418, body: 'on node-1', headers: [{ name: 'X-A', value: 'b' }] },
    });
    assert.match(
      problemsOf({ prefix: '/a', respond: { body: `\${ADMIN_TOKEN}` } })[0] ?? '',
      /^routes.yaml:1: respond.body: \$\{ADMIN_TOKEN\} is not allowed/,
    );
    assert.match(problemsOf({ prefix: '/a', respond: { status: 101 } })[0] ?? '', /respond.status/);
  });

  it('files names a folder that is there, from the directory of the routes file', (t) => {
    const folder = directory(t);
    mkdirSync(join(folder, 'site'));
    const file = put(folder, 'routes.yaml', '- {prefix: /a, files: site}');
    const [route] = routesOf('- {prefix: /a, files: site}', file);
    assert.ok(route?.kind === 'files');
    assert.equal(route.files, join(folder, 'site'));
    assert.deepEqual(route.methods, ['GET', 'HEAD']);
    assert.match(
      problemsOf({ prefix: '/a', files: 'site', methods: ['PUT'] }, file)[0] ?? '',
      /:1: methods: /,
    );
    for (const files of ['nowhere', 'routes.yaml', 'routes.yaml/below'])
      assert.match(problemsOf({ prefix: '/a', files }, file)[0] ?? '', /:1: files: .* is no folder/);
  });

  it('files that cannot even be looked at are a problem with its line, like any other', (t) => {
    const folder = directory(t);
    const file = put(folder, 'routes.yaml', '');
    symlinkSync('round', join(folder, 'round'));
    for (const [files, code] of [
      ['a'.repeat(300), 'ENAMETOOLONG'],
      ['round', 'ELOOP'],
    ])
      assert.match(
        problemsOf({ prefix: '/a', files }, file)[0] ?? '',
        new RegExp(`:1: files: .* cannot be read \\(${code}\\)$`),
      );
  });

  it('logout takes POST, and needs a token', () => {
    const [route, plain] = routesOf(
      '- {prefix: /a, logout: {redirect: /bye, everywhere: true}, methods: [GET, POST]}\n- {prefix: /b, logout: }\n',
    );
    assert.ok(route?.kind === 'logout' && plain?.kind === 'logout');
    assert.deepEqual(route.logout, { redirect: '/bye', everywhere: true });
    assert.deepEqual(route.methods, ['GET', 'HEAD', 'POST']);
    assert.deepEqual([plain.logout, plain.methods], [{ redirect: undefined, everywhere: false }, ['POST']]);
    assert.match(problemsOf({ prefix: '/a', logout: {}, auth: 'public' })[0] ?? '', /:1: auth: /);
  });

  it('logout redirects to where its operator said, and browsers read it alike', () => {
    for (const redirect of ['/', '/bye?x=y', 'https://id.example.com/logout?a=b', 'http://a/#top'])
      assert.deepEqual(problemsOf({ prefix: '/a', logout: { redirect } }), [], redirect);
    for (const redirect of [
      '//evil.example',
      '/\\evil.example',
      'bye',
      'javascript:alert(1)',
      'https:evil.example',
      '/a b',
      '',
      '/\n',
    ])
      assert.match(problemsOf({ prefix: '/a', logout: { redirect } })[0] ?? '', /logout.redirect/, redirect);
  });

  it('is one thing at a time', () => {
    assert.match(
      problemsOf({ prefix: '/a', respond: {}, files: '/tmp' })[0] ?? '',
      /:1: files: stands alone: an entry has one of upstream, respond, files, logout/,
    );
  });
});

describe('a route that an earlier one hides', () => {
  const check = (...entries: object[]) => linesOf(parse(JSON.stringify(entries)));
  const ws = (prefix: string, keys = {}) => ({ prefix, upstream: 'ws://a', ...keys });
  const web = (prefix: string, keys = {}) => ({ prefix, upstream: 'http://a', ...keys });

  it('is an error on HTTP routes, too', () => {
    for (const entries of [
      [web('/a'), web('/a/b')],
      [web('/'), { prefix: '/x', respond: {} }],
      [web('/', { webSocket: false }), ws('/a')],
      [{ prefix: '/', respond: {} }, ws('/a')],
      [web('/ws/a'), ws('/ws/a')],
    ])
      assert.match(check(...entries)[0] ?? '', /prefix: is hidden by/, JSON.stringify(entries));
  });

  it('is none where the earlier one leaves clients or paths over', () => {
    for (const entries of [
      [ws('/a'), web('/a')],
      [web('/a'), ws('/a')], // /ws/a is left
      [web('/a', { protocol: 'raw' }), ws('/a', { protocol: 'mqtt' })],
      [ws('/'), web('/ws/x')],
    ])
      assert.deepEqual(check(...entries), [], JSON.stringify(entries));
  });
});
