import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hasUpstreams, type Protocol, type Route, type RouteTable } from '../../../internal/config/config.js';
import { parseRoutes } from '../../../internal/config/routes/routes.js';
import { type Claim, hiding, sessionMatches } from '../../../internal/config/routes/table.js';
import { linesOf } from '../files.js';
import { NO_BACKENDS } from '../route-defaults.js';

function tableOf(prefixes: readonly string[], backends: { raw?: string; mqtt?: string } = {}): RouteTable {
  const text = JSON.stringify(prefixes.map((prefix) => ({ prefix, upstream: 'ws://a' })));
  const result = parseRoutes(text, 'routes.yaml', {
    rawBackendUrl: backends.raw,
    mqttBackendUrl: backends.mqtt,
    backendGiven: Object.keys(backends).length > 0,
    keySourceGiven: true,
  });
  assert.ok('table' in result, linesOf(result).join('\n'));
  return result.table;
}

const tables = new Map<string, RouteTable>();

/** What a WebSocket route claims. */
function sessions({ prefix, protocol }: { prefix: string; protocol: Protocol | undefined }): Claim {
  return { prefix, mounted: true, clients: protocol === undefined ? ['mqtt', 'raw'] : [protocol], hosts: [] };
}

/** What one prefix makes of a path: the rest, or undefined. */
function rest(prefix: string, path: string): string | undefined {
  const table = tables.get(prefix) ?? tableOf([prefix]);
  tables.set(prefix, table);
  return table.match(path, '')[0]?.rest;
}

describe('RouteTable.match', () => {
  const cases: [prefix: string, path: string, rest: string | undefined][] = [
    ['/mqtt', '/mqtt', ''],
    ['/mqtt', '/mqtt/', '/'],
    ['/mqtt', '/mqtt/x/y', '/x/y'],
    ['/mqtt', '/mqttx', undefined],
    ['/mqtt', '/MQTT', undefined],
    ['/mqtt', '/a/mqtt', undefined],
    ['/mqtt', '//mqtt', undefined],
    ['/mqtt', '/', undefined],
    ['/mqtt', '', undefined],
    ['/mqtt/', '/mqtt', undefined],
    ['/mqtt/', '/mqtt/', ''],
    ['/mqtt/', '/mqtt/x', '/x'],
    ['/mqtt/', '/ws/mqtt', undefined],
    ['/mqtt', '/ws/mqtt', ''],
    ['/mqtt', '/ws/mqtt/x', '/x'],
    ['/mqtt', '/ws/mqttx', undefined],
    ['/mqtt', '/ws/ws/mqtt', undefined],
    ['/mqtt', '/ws//mqtt', undefined],
    ['/mqtt', '/wsmqtt', undefined],
    ['/mqtt', '/ws', undefined],
    ['/mqtt', '/WS/mqtt', undefined],
    ['/ws', '/ws', ''],
    ['/ws', '/ws/', '/'],
    ['/ws', '/ws/x', '/x'],
    ['/ws', '/wsx', undefined],
    ['/ws', '/', undefined],
    ['/ws/', '/ws', undefined],
    ['/ws/', '/ws/', ''],
    ['/ws/mqtt', '/ws/mqtt', ''],
    ['/ws/mqtt', '/mqtt', undefined],
    ['/ws/mqtt', '/ws/ws/mqtt', undefined],
    ['/wsx', '/wsx', ''],
    ['/wsx', '/ws/wsx/y', '/y'],
    ['/', '/', ''],
    ['/', '/x', '/x'],
    ['/', '/ws', ''],
    ['/', '/ws/', ''],
    ['/', '/ws/x', '/x'],
    ['/é', '/ws/é', ''],
  ];
  for (const [prefix, path, expected] of cases) {
    it(`${prefix} ${expected === undefined ? 'does not fit' : 'fits'} ${path}`, () => {
      assert.equal(rest(prefix, path), expected);
    });
  }

  it('returns every route that fits, in table order', () => {
    const table = tableOf(['/a/b', '/ws/a', '/a', '/']);
    assert.deepEqual(
      table.match('/ws/a/b', '').map(({ route, rest }) => [route.prefix, rest]),
      [
        ['/a/b', ''],
        ['/ws/a', '/b'],
        ['/a', '/b'],
        ['/', '/a/b'],
      ],
    );
  });

  it('fallbacks fit plain /ws and /ws/ alone, after all other routes', () => {
    const table = tableOf(['/a', '/ws'], { raw: 'ws://raw', mqtt: 'ws://mqtt' });
    const upstreams = (path: string) =>
      sessionMatches(table.match(path, '')).flatMap(({ route }) => route.upstreams);
    assert.deepEqual(upstreams('/ws'), ['ws://a', 'ws://raw', 'ws://mqtt']);
    assert.deepEqual(upstreams('/ws/'), ['ws://a', 'ws://raw', 'ws://mqtt']);
    assert.deepEqual(upstreams('/ws/x'), ['ws://a']);
    assert.deepEqual(upstreams('/'), []);
    assert.deepEqual(
      table.routes
        .filter(hasUpstreams)
        .filter(({ fallback }) => fallback)
        .map(({ prefix, protocol }) => [prefix, protocol]),
      [
        ['/ws', 'raw'],
        ['/ws', 'mqtt'],
      ],
    );
  });

  it('treats the names of object properties as any other path', () => {
    const table = tableOf(['/a']);
    for (const path of ['/__proto__', '/constructor', '__proto__'])
      assert.deepEqual(table.match(path, ''), []);
  });
});

describe('a route that could never be reached is an error', () => {
  type Written = readonly [prefix: string, protocol?: Protocol];
  const check = (...routes: readonly Written[]) =>
    linesOf(
      parseRoutes(
        routes
          .map(
            ([prefix, protocol]) =>
              `- {prefix: ${prefix}, upstream: "ws://a"${protocol ? `, protocol: ${protocol}` : ''}}\n`,
          )
          .join(''),
        'routes.yaml',
        NO_BACKENDS,
      ),
    );
  const hidden: Written[][] = [
    [['/a'], ['/a']],
    [['/a'], ['/a/']],
    [['/a'], ['/a/b']],
    [['/a/'], ['/a/b']],
    [['/a'], ['/a', 'mqtt']],
    [
      ['/a', 'mqtt'],
      ['/a/b', 'mqtt'],
    ],
    [['/'], ['/a']],
    [['/'], ['/ws']],
    [['/'], ['/ws/a']],
    [['/a'], ['/ws/a']],
    [['/a'], ['/ws/a/b']],
    [['/ws'], ['/ws/a']],
    [['/a', 'mqtt'], ['/a', 'raw'], ['/a/b']],
  ];
  for (const routes of hidden) {
    it(`${JSON.stringify(routes)} hides its last`, () => {
      const lines = check(...routes);
      assert.equal(lines.length, 1);
      assert.match(
        lines[0] ?? '',
        new RegExp(`^routes.yaml:${routes.length}: prefix: is hidden by .* in line 1`),
      );
    });
  }
  const reachable: Written[][] = [
    [['/a/b'], ['/a']],
    [['/a/'], ['/a']],
    [['/a'], ['/ab']],
    [['/a', 'mqtt'], ['/a']],
    [
      ['/a', 'mqtt'],
      ['/a', 'raw'],
    ],
    [['/ws/a'], ['/a']],
    [['/ws'], ['/']],
    [['/ws'], ['/wsx']],
    [['/a', 'mqtt'], ['/a/b', 'raw'], ['/a']],
  ];
  for (const routes of reachable) {
    it(`${JSON.stringify(routes)} can all be reached`, () => assert.deepEqual(check(...routes), []));
  }

  it('is found even where the entries have other faults', () => {
    const lines = linesOf(
      parseRoutes(
        '- prefix: /a\n  colour: red\n- prefix: /a/b\n  upstream: nowhere\n',
        'routes.yaml',
        NO_BACKENDS,
      ),
    );
    assert.ok(lines.some((line) => line.startsWith('routes.yaml:3: prefix: is hidden by "/a" in line 1')));
    assert.equal(lines.length, 4);
  });

  it('agrees with matching, on every small table and path', () => {
    const seed = 20_240_601;
    const segment = fc.constantFrom('ws', 'a', 'b');
    const prefix = fc
      .tuple(fc.array(segment, { maxLength: 3 }), fc.boolean())
      .map(([segments, slash]) => `/${segments.join('/')}${slash && segments.length > 0 ? '/' : ''}`);
    const claim = fc.record({
      prefix,
      protocol: fc.constantFrom<(Protocol | undefined)[]>(undefined, 'mqtt', 'raw'),
    });
    const segments = ['ws', 'a', 'b', 'c'];
    const paths = ['/'];
    for (const one of segments) {
      for (const two of ['', ...segments]) {
        for (const three of ['', ...segments]) {
          for (const four of ['', ...segments])
            paths.push(`/${[one, two, three, four].filter(Boolean).join('/')}`);
        }
      }
    }
    paths.push(...paths.slice(1).map((path) => `${path}/`));
    fc.assert(
      fc.property(fc.array(claim, { minLength: 1, maxLength: 3 }), claim, (earlier, later) => {
        const served = (path: string, protocol: Protocol, claims: readonly (typeof later)[]) =>
          claims.some(
            (one) => (one.protocol ?? protocol) === protocol && rest(one.prefix, path) !== undefined,
          );
        const protocols: Protocol[] = later.protocol ? [later.protocol] : ['mqtt', 'raw'];
        const own = paths.filter((path) => rest(later.prefix, path) !== undefined);
        const unreachable = own.every((path) =>
          protocols.every((protocol) => served(path, protocol, earlier)),
        );
        assert.equal(hiding(earlier.map(sessions), sessions(later)).length > 0, unreachable);
      }),
      { seed, numRuns: 200 },
    );
  });
});

describe('the table', () => {
  it('is frozen to its leaves', () => {
    const table = tableOf(['/a']);
    const [route] = table.routes.filter(hasUpstreams);
    assert.throws(() => (table.routes as Route[]).push(route!), TypeError);
    assert.throws(() => Object.assign(route!, { auth: 'public' }), TypeError);
    assert.throws(() => (route!.upstreams as string[]).push('ws://b'), TypeError);
  });

  it('matches 1,000 routes against a path of 64 KiB quickly', () => {
    const table = tableOf(Array.from({ length: 1000 }, (_, index) => `/route-${index}`));
    const path = `/ws${'/a'.repeat(32_768)}`;
    const before = process.cpuUsage();
    for (let count = 0; count < 100; count++) assert.equal(table.match(path, '').length, 0);
    assert.ok(process.cpuUsage(before).user < 2_000_000, '100 matches within 2 s of processor time');
  });
});
