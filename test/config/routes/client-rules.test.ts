import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseRoutes } from '../../../internal/config/routes/routes.js';
import { linesOf } from '../files.js';
import { NO_BACKENDS } from '../route-defaults.js';

function parse(entries: readonly object[]) {
  return parseRoutes(JSON.stringify(entries), 'routes.yaml', NO_BACKENDS);
}

function tableOf(entries: readonly object[]) {
  const result = parse(entries);
  assert.ok('table' in result, linesOf(result).join('\n'));
  return result.table;
}

const problemsOf = (entries: readonly object[]) => linesOf(parse(entries));
const route = (hosts: readonly string[] | undefined, more: object = {}) => ({
  prefix: '/a',
  upstream: 'ws://u',
  ...(hosts === undefined ? {} : { hosts }),
  ...more,
});

describe('hosts of a route', () => {
  const fits = (hosts: readonly string[], host: string) =>
    tableOf([route(hosts)]).match('/a', host).length === 1;

  it('are compared with the Host of the client, without its port', () => {
    assert.ok(fits(['app.example.com'], 'app.example.com'));
    assert.ok(fits(['App.example.com'], 'aPP.EXAMPLE.com:8443'));
    assert.ok(fits(['app.example.com'], 'app.example.com.'), 'with the dot of the root');
    assert.ok(fits(['192.0.2.1', '[2001:db8::1]'], '[2001:db8::1]:80'));
    for (const other of [
      'example.com',
      'xapp.example.com',
      'app.example.com.evil',
      'app.example.com@evil',
      '',
    ])
      assert.ok(!fits(['app.example.com'], other), other);
  });

  it('that begin with *. stand for any name below', () => {
    assert.ok(fits(['*.example.com'], 'a.example.com'));
    assert.ok(fits(['*.example.com'], 'a.b.example.com:1'));
    for (const other of ['example.com', '.example.com', 'evilexample.com', 'a.example.com.evil'])
      assert.ok(!fits(['*.example.com'], other), other);
  });

  it('let a path go on to the next route', () => {
    const table = tableOf([route(['a.example']), route(['b.example']), route(undefined)]);
    const first = (host: string) =>
      table.routes.indexOf(table.match('/a', host)[0]?.route ?? table.routes[0]!);
    assert.deepEqual(['a.example', 'b.example', 'c.example'].map(first), [0, 1, 2]);
  });

  it('hide a later route when they take all of its hosts, and not otherwise', () => {
    const hidden = (earlier: readonly string[] | undefined, later: readonly string[] | undefined) =>
      problemsOf([route(earlier), route(later)]).some((line) => line.includes('is hidden by'));
    assert.ok(hidden(undefined, ['a.example']));
    assert.ok(hidden(['a.example'], ['A.example']));
    assert.ok(hidden(['*.example', 'b.test'], ['a.example', '*.x.example', 'b.test']));
    assert.ok(!hidden(['a.example'], undefined));
    assert.ok(!hidden(['a.example'], ['a.example', 'b.example']));
    assert.ok(!hidden(['*.example'], ['example']));
    assert.ok(!hidden(['a.example'], ['*.example']));
    assert.match(
      problemsOf([route(['a.example']), route(['b.example']), route(['a.example', 'b.example'])]).join('\n'),
      /is hidden by "\/a" in line 1 and "\/a" in line 1/,
    );
  });

  it('must be names without a port, and at least one', () => {
    for (const bad of ['a.example:80', 'http://a.example', '*', '*.*.example', 'a/b', '', 'a b'])
      assert.match(
        problemsOf([route([bad])]).join('\n'),
        /: hosts\[0\]: .* must be a host name without a port/,
        bad,
      );
    assert.match(problemsOf([route([])]).join('\n'), /: hosts: .* must be a list of host names/);
  });
});

describe('addresses, weights, sizes and times of a route', () => {
  it('are read', () => {
    const [made] = tableOf([
      {
        prefix: '/a',
        upstream: [{ url: 'ws://a', weight: 3 }, 'ws://b', { url: 'ws://c' }],
        allow: ['10.0.0.0/8', '2001:db8::/32'],
        deny: ['10.0.0.1'],
        maxMessageBytes: 1000,
        timeouts: { connect: 0.5, idle: 8, write: 0 },
      },
    ]).routes;
    assert.ok(made?.kind === 'websocket');
    assert.deepEqual(made.upstreams, ['ws://a', 'ws://b', 'ws://c']);
    assert.deepEqual(made.weights, [3, 1, 1]);
    assert.deepEqual(made.clients, { hosts: [], allow: ['10.0.0.0/8', '2001:db8::/32'], deny: ['10.0.0.1'] });
    assert.equal(made.maxMessageBytes, 1000);
    assert.deepEqual(made.timeouts, { connectMs: 500, idleMs: 8000, writeMs: 0 });
  });

  it('go with HTTP routes, and those for clients with local ones', () => {
    const [http, fixed] = tableOf([
      { prefix: '/a', upstream: { url: 'http://a', weight: 2 }, maxMessageBytes: 5, allow: ['::1'] },
      { prefix: '/b', respond: {}, auth: 'public', hosts: ['b.example'], deny: ['192.0.2.0/24'] },
    ]).routes;
    assert.ok(http?.kind === 'http' && fixed?.kind === 'respond');
    assert.deepEqual([http.weights, http.maxMessageBytes, http.clients.allow], [[2], 5, ['::1']]);
    assert.deepEqual(fixed.clients, { hosts: ['b.example'], allow: [], deny: ['192.0.2.0/24'] });
  });

  const cases: [name: string, entry: object, problem: RegExp][] = [
    ['an address that is none', { allow: ['10.0.0.0/33'] }, /allow\[0\]: .* must be an address or a CIDR/],
    ['no address', { deny: [] }, /deny: an empty list is not allowed: must be a list of addresses or CIDRs/],
    ['a weight of 0', { upstream: [{ url: 'ws://a', weight: 0 }] }, /upstream\[0\]\.weight: 0 .* 1 to 1000/],
    ['half a weight', { upstream: { url: 'ws://a', weight: 1.5 } }, /upstream\.weight: 1\.5 /],
    ['an unknown key', { upstream: [{ url: 'ws://a', wait: 1 }] }, /upstream\[0\]\.wait: is not a key/],
    ['no URL', { upstream: [{ weight: 1 }] }, /upstream\[0\]\.url: is required: a ws:\/\//],
    [
      'two kinds',
      { upstream: [{ url: 'ws://a' }, 'http://b'] },
      /upstream\[1\]: "http:\/\/b" is not allowed/,
    ],
    ['no bytes', { maxMessageBytes: 0 }, /maxMessageBytes: 0 is not allowed: must be a whole number, 1 to/],
    ['a short idle time', { timeouts: { idle: 7 } }, /timeouts\.idle: 7 .* 0 \(off\) or 8 to 960 seconds/],
    ['no time to dial', { timeouts: { connect: 0 } }, /timeouts\.connect: 0 is not allowed/],
    ['an answer', { timeouts: { answer: 5 } }, /timeouts\.answer: is not a key that is known here/],
  ];
  for (const [name, entry, problem] of cases)
    it(`refuse ${name}`, () => {
      const lines = problemsOf([{ prefix: '/a', upstream: 'ws://a', ...entry }]);
      assert.equal(lines.length, 1, lines.join('\n'));
      assert.match(lines[0] ?? '', problem);
    });
});
