import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hasUpstreams } from '../../internal/config/config.js';
import { loadConfiguration } from '../../internal/config/environment/environment.js';
import { directory, linesOf, put } from './files.js';

const KEYS = { JWKS_URL: 'https://id.example.com/jwks' };
const GOOD = '- prefix: /a\n  upstream: ws://a\n';

describe('loadConfiguration', () => {
  it('returns a frozen configuration and table, and where the table came from', (t) => {
    const file = put(directory(t), 'routes.yaml', GOOD);
    const result = loadConfiguration({ ...KEYS, ROUTE_FILE: file, RAW_WS_BACKEND_URL: 'ws://raw' });
    assert.ok('config' in result, linesOf(result).join('\n'));
    assert.equal(result.config.routeFile, file);
    assert.deepEqual(
      result.table.routes.filter(hasUpstreams).map(({ prefix, fallback }) => [prefix, fallback]),
      [
        ['/a', false],
        ['/ws', true],
      ],
    );
    assert.equal(result.routesSource.file, file);
    for (const part of [result.config, result.table, result.routesSource]) assert.ok(Object.isFrozen(part));
  });

  it('leaves nothing in them that can change, in schema files too', (t) => {
    const folder = directory(t);
    const routes =
      '- {prefix: /c, upstream: "ws://a", schemas: calls.yaml}\n- {prefix: /h, upstream: "http://a", schemas: bodies.yaml}\n';
    put(folder, 'calls.yaml', 'rpc:\n  add: {params: {type: array}}\n');
    put(folder, 'bodies.yaml', 'endpoints:\n  - {method: POST, path: /, body: {required: [a]}}\n');
    const result = loadConfiguration({ ...KEYS, ROUTE_FILE: put(folder, 'routes.yaml', routes) });
    assert.ok('config' in result, linesOf(result).join('\n'));
    const visit = (value: unknown, place: string): void => {
      if (typeof value !== 'object' || value === null) return;
      // A Map or a Set can be frozen, and changes all the same.
      assert.ok(Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype, place);
      assert.ok(Object.isFrozen(value), place);
      for (const [name, part] of Object.entries(value)) visit(part, `${place}.${name}`);
    };
    visit(result.config, 'config');
    visit(result.table.routes, 'routes');
    visit(result.routesSource, 'routesSource');
  });

  it('returns the problems of the environment and of the routes file together', (t) => {
    const file = put(directory(t), 'routes.yaml', '- prefix: a\n  upstream: ws://a\n');
    const lines = linesOf(loadConfiguration({ ...KEYS, ROUTE_FILE: file, PORT: 'x' }));
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? '', /^PORT: /);
    assert.match(lines[1] ?? '', /routes.yaml:1: prefix: /);
  });

  it('reads the file of --route-file when ROUTE_FILE is unset', (t) => {
    const routeFile = put(directory(t), 'mine.yaml', GOOD);
    const result = loadConfiguration(KEYS, { routeFile });
    assert.ok('config' in result);
    assert.equal(result.config.routeFile, routeFile);
  });

  it('a routes file that is named but missing is an error, with a backend variable too', (t) => {
    const file = join(directory(t), 'none.yaml');
    for (const env of [KEYS, { ...KEYS, RAW_WS_BACKEND_URL: 'ws://raw' }]) {
      assert.deepEqual(linesOf(loadConfiguration({ ...env, ROUTE_FILE: file })), [
        `${file}: does not exist (the routes file that ROUTE_FILE or --route-file names)`,
      ]);
      assert.deepEqual(linesOf(loadConfiguration(env, { routeFile: file })), [
        `${file}: does not exist (the routes file that ROUTE_FILE or --route-file names)`,
      ]);
    }
  });

  it('the default routes file may be missing if, and only if, a backend variable is set', () => {
    const missing = linesOf(loadConfiguration(KEYS));
    assert.match(missing[0] ?? '', /^\/etc\/ws-gw\/routes.yaml: does not exist \(ROUTE_FILE or --route-file/);
    const result = loadConfiguration({ ...KEYS, MQTT_WS_BACKEND_URL: 'ws://broker' });
    assert.ok('config' in result, linesOf(result).join('\n'));
    assert.deepEqual(
      result.table.routes.filter(hasUpstreams).map(({ protocol, fallback }) => [protocol, fallback]),
      [['mqtt', true]],
    );
  });

  it('no key source is an error unless every route is public', (t) => {
    const folder = directory(t);
    const closed = linesOf(loadConfiguration({ ROUTE_FILE: put(folder, 'closed.yaml', GOOD) }));
    assert.match(closed[0] ?? '', /^JWKS_URL: no source of verification keys/);
    const open = loadConfiguration({ ROUTE_FILE: put(folder, 'open.yaml', `${GOOD}  auth: public\n`) });
    assert.ok('config' in open);
    assert.deepEqual(open.config.verification.keySource, { kind: 'none' });
  });

  it('a malformed variable does not cause problems elsewhere', (t) => {
    const folder = directory(t);
    const keys = linesOf(loadConfiguration({ ROUTE_FILE: put(folder, 'a.yaml', GOOD), JWKS_URL: 'nowhere' }));
    assert.deepEqual(
      keys.map((line) => line.split(':')[0]),
      ['JWKS_URL'],
    );
    const backend = linesOf(
      loadConfiguration({ ...KEYS, ROUTE_FILE: put(folder, 'b.yaml', '[]'), RAW_WS_BACKEND_URL: 'nowhere' }),
    );
    assert.deepEqual(
      backend.map((line) => line.split(':')[0]),
      ['RAW_WS_BACKEND_URL'],
    );
  });
});
