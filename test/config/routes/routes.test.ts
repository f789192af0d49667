import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  hasUpstreams,
  NO_CLIENT_RULES,
  NO_TOKEN_RULES,
  type UpstreamRoute,
} from '../../../internal/config/config.js';
import { parseRoutes, type RoutesContext } from '../../../internal/config/routes/routes.js';
import { linesOf } from '../files.js';
import { NO_BACKENDS, WEBSOCKET_DEFAULTS } from '../route-defaults.js';

function parse(text: string, context: Partial<RoutesContext> = {}, fileName = 'routes.yaml') {
  return parseRoutes(text, fileName, { ...NO_BACKENDS, ...context });
}

function routesOf(
  text: string,
  context: Partial<RoutesContext> = {},
  fileName?: string,
): readonly UpstreamRoute[] {
  const result = parse(text, context, fileName);
  assert.ok('table' in result, linesOf(result).join('\n'));
  return result.table.routes.filter(hasUpstreams);
}

const problemsOf = (text: string, context: Partial<RoutesContext> = {}) => linesOf(parse(text, context));

describe('parseRoutes', () => {
  it('fills in the documented defaults', () => {
    assert.deepEqual(routesOf('- prefix: /a\n  upstream: ws://a/x?y=z\n'), [
      { ...WEBSOCKET_DEFAULTS, prefix: '/a', upstreams: ['ws://a/x?y=z'], weights: [1] },
    ]);
  });

  it('takes every key', () => {
    const text = `
- prefix: /a
  upstream: [wss://a:8443/x, wss://b]
  protocol: mqtt
  copySubProtocol: true
  preserveQuery: true
  appendPath: true
  auth: required
  requireRoles: [r, s, r]
  forwardHeaders: [Accept-Language, Cookie, ACCEPT-LANGUAGE]
  rateLimit: {perSecond: 0.5, burst: 2}
  balance: hash:sub
  health: {path: /up?x=y, status: 204}
  onRemove: close
  tls: {serverName: inner.example, insecureSkipVerify: true}
  mqtt: {roles: username}
`;
    assert.deepEqual(routesOf(text), [
      {
        prefix: '/a',
        kind: 'websocket',
        fallback: false,
        forwardToken: true,
        keepGreetingToken: false,
        upstreams: ['wss://a:8443/x', 'wss://b'],
        weights: [1, 1],
        protocol: 'mqtt',
        copySubProtocol: true,
        preserveQuery: true,
        appendPath: true,
        auth: 'required',
        requireRoles: ['r', 's'],
        tokens: NO_TOKEN_RULES,
        clients: NO_CLIENT_RULES,
        forwardHeaders: ['accept-language', 'cookie'],
        rateLimit: { perSecond: 0.5, burst: 2 },
        balance: 'hash:sub',
        health: { path: '/up?x=y', status: 204 },
        onRemove: 'close',
        tls: {
          ca: undefined,
          cert: undefined,
          key: undefined,
          serverName: 'inner.example',
          insecureSkipVerify: true,
        },
        mqttRoles: 'username',
        schemas: undefined,
        renew: false,
        maxMessageBytes: undefined,
        timeouts: { connectMs: undefined, idleMs: undefined, writeMs: undefined },
      },
    ]);
  });

  it('reports all problems at once, in the order of the file, with line and key', () => {
    const lines = problemsOf(`- prefix: /a
  upstream: htp://a
  colour: red
- upstream: ws://a
  tls:
    caFle: x
- 7
`);
    assert.deepEqual(
      lines.map((line) => line.split(': ').slice(0, 2).join(': ')),
      [
        'routes.yaml:2: upstream',
        'routes.yaml:3: colour',
        'routes.yaml:4: prefix',
        'routes.yaml:6: tls.caFle',
        'routes.yaml:7: route 3',
      ],
    );
  });

  it('names the item of a list that is wrong', () => {
    const lines = problemsOf('- prefix: /a\n  upstream:\n    - ws://a\n    - nowhere\n');
    assert.match(lines[0] ?? '', /^routes.yaml:4: upstream\[1\]: "nowhere" is not allowed: must be a ws/);
  });

  it('takes a URL with two slashes only: a parser makes a host of what follows one, or three', () => {
    for (const url of ['http:/a', 'ws:a', 'https:///a'])
      assert.match(
        problemsOf(`- {prefix: /a, upstream: "${url}"}\n`)[0] ?? '',
        /^routes.yaml:1: upstream: .* is not allowed/,
        url,
      );
  });

  it('lists at most 50 problems and says how many more there are', () => {
    const lines = problemsOf('- 7\n'.repeat(1000));
    assert.equal(lines.length, 51);
    assert.equal(lines.at(-1), 'routes: 950 more problems');
  });

  it('does not repeat credentials or queries of a bad URL', () => {
    const lines = problemsOf('- {prefix: /a, upstream: ["ws://u:hunter2@a", "htp://a/?token=hunter2"]}');
    assert.equal(lines.length, 2);
    assert.doesNotMatch(lines.join('\n'), /hunter2/);
  });
});

describe('a malformed value of a key is an error', () => {
  const bad: Readonly<Record<string, readonly unknown[]>> = {
    prefix: [
      ...[
        7,
        null,
        '',
        'a',
        '//',
        '/a//b',
        '/a/../b',
        '/./a',
        '/..',
        '/a b',
        '/a\t',
        '/a?b',
        '/a#b',
        '/a\\b',
        '/a\0',
      ],
      ...['/%61', '/healthz', '/readyz', '/metrics', '/metrics/x', '/admin', '/admin/', '/admin/revoke'],
      ...[`/${'a'.repeat(512)}`, ['/a'], { a: 1 }],
    ],
    upstream: [
      ...[7, null, '', [], {}, 'ws://', 'ws://a#', 'ws://u@a', 'ws://a b', 'ws://{sub}.a', [['ws://a']]],
      Array.from({ length: 257 }, () => 'ws://a'),
    ],
    protocol: [null, 'MQTT', 'amqp', ['mqtt']],
    copySubProtocol: [null, 'true', 1],
    preserveQuery: ['yes'],
    appendPath: ['no'],
    auth: [null, 'none', true],
    requireRoles: [null, 'admin', [], [''], [' '], [7]],
    forwardHeaders: [
      ...[null, 'Accept', [''], ['a b'], ['a:b'], ['a\r\nb'], [7]],
      ...[
        'Authorization',
        'host',
        'Connection',
        'Keep-Alive',
        'Proxy-Authorization',
        'TE',
        'Trailer',
        'Upgrade',
      ].map((name) => [name]),
      ...[
        'Transfer-Encoding',
        'Content-Length',
        'Expect',
        'X-Request-Id',
        'X-User-Id',
        'X-User-Anything',
        'traceparent',
        'Tracestate',
      ].map((name) => [name]),
      ...['X-Forwarded-For', 'X-FORWARDED-X', 'Sec-WebSocket-Key', 'sec-websocket-protocol'].map((name) => [
        name,
      ]),
      ...[
        'X_User_Roles',
        'X.User.Roles',
        'x_user-id',
        'X_Forwarded_For',
        'Content_Length',
        'Sec_WebSocket_Key',
      ].map((name) => [name]),
    ],
    rateLimit: [
      ...[
        null,
        7,
        {},
        { perSecond: 1 },
        { burst: 1 },
        { perSecond: -1, burst: 1 },
        { perSecond: 1, burst: 0 },
      ],
      ...[
        { perSecond: 1, burst: 1.5 },
        { perSecond: '1', burst: 1 },
        { perSecond: 1, burst: 1, per: 1 },
      ],
    ],
    balance: ['random', 'hash:ip'],
    health: [
      null,
      '/up',
      {},
      { path: 'up' },
      { path: '/a b' },
      { path: '/a\r\nb' },
      { path: '/', status: 99 },
      { path: '/', status: '200' },
    ],
    onRemove: ['drop', true],
    tls: [
      null,
      true,
      { caFile: '' },
      { serverName: 'a b' },
      { serverName: '10.0.0.1' },
      { insecureSkipVerify: 'yes' },
    ],
    mqtt: [null, 'username', { roles: 'header' }, { role: 'username' }],
  };
  for (const [key, values] of Object.entries(bad)) {
    it(key, () => {
      for (const value of values) {
        const entry = { prefix: '/a', upstream: 'wss://a', [key]: value };
        const lines = problemsOf(JSON.stringify([entry]));
        assert.ok(lines.length > 0, `${JSON.stringify(value)} was accepted`);
        for (const line of lines) assert.match(line, new RegExp(`^routes.yaml:1: ${key}[.[:]`));
      }
    });
  }

  it('a required key that is missing is named', () => {
    const lines = problemsOf('- auth: public\n');
    assert.match(lines[0] ?? '', /^routes.yaml:1: prefix: is required: a path/);
    assert.match(
      lines[1] ?? '',
      /^routes.yaml:1: upstream: is required: a ws.+ http:\/\/ .+ or respond, files or logout in its place$/,
    );
  });

  it('.nan and .inf are no rates', () => {
    for (const value of ['.nan', '.inf', '-.inf']) {
      const lines = problemsOf(
        `- {prefix: /a, upstream: "ws://a", rateLimit: {perSecond: ${value}, burst: 1}}`,
      );
      assert.match(lines[0] ?? '', /^routes.yaml:1: rateLimit.perSecond: /);
    }
  });

  it('roles on a public route are refused, as nobody there has any', () => {
    const lines = problemsOf('- prefix: /a\n  upstream: ws://a\n  auth: public\n  requireRoles: [r]\n');
    assert.match(lines[0] ?? '', /^routes.yaml:4: requireRoles: /);
  });
});

describe('roles in the CONNECT', () => {
  it('make a route one for MQTT alone', () => {
    const text = '[{prefix: /a, upstream: ws://a, mqtt: {roles: username}}, {prefix: /a, upstream: ws://b}]';
    assert.deepEqual(
      routesOf(text).map(({ protocol }) => protocol),
      ['mqtt', undefined],
    );
  });

  it('are refused on a route for raw clients', () => {
    const text = '[{prefix: /a, upstream: ws://a, protocol: raw, mqtt: {roles: username}}]';
    assert.deepEqual(problemsOf(text), ['routes.yaml:1: mqtt.roles: goes with protocol: mqtt only']);
  });
});

describe('an empty list', () => {
  const empty = ['', '[]', '# nothing\n', '---\n', 'null'];
  it('is an error', () => {
    for (const text of empty) assert.match(problemsOf(text)[0] ?? '', /^routes.yaml:1: routes: is empty/);
  });

  it('leaves the fallbacks if a backend variable is set', () => {
    for (const text of empty) {
      const [route, ...others] = routesOf(text, { rawBackendUrl: 'ws://raw', backendGiven: true });
      assert.equal(others.length, 0);
      assert.deepEqual([route?.fallback, route?.protocol, route?.upstreams], [true, 'raw', ['ws://raw']]);
    }
  });

  it('is told from what is no list', () => {
    for (const text of ['upstream: x', 'text', '7']) {
      assert.match(problemsOf(text)[0] ?? '', /^routes.yaml:1: routes: must be a list/);
    }
  });
});

describe('without a source of verification keys', () => {
  const context = { keySourceGiven: false };
  it('every route must be public', () => {
    const open = '- {prefix: /a, upstream: "ws://a", auth: public}\n';
    assert.equal(routesOf(open, context).length, 1);
    const lines = problemsOf(`${open}- {prefix: /b, upstream: "ws://b"}\n`, context);
    assert.match(
      lines[0] ?? '',
      /^JWKS_URL: no source of verification keys, and the route \/b needs a token/,
    );
  });

  it('backend variables are refused, as their routes need a token', () => {
    const lines = problemsOf('[]', { ...context, backendGiven: true, mqttBackendUrl: 'ws://a' });
    assert.match(lines[0] ?? '', /^JWKS_URL: /);
  });
});
