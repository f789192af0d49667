import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEnvironment } from '../../../internal/config/environment/environment.js';
import { parseRoutes } from '../../../internal/config/routes/routes.js';
import { tablesOf } from '../../../internal/config/routes/target-table.js';
import { linesOf } from '../files.js';
import { NO_BACKENDS } from '../route-defaults.js';

const targets = { port: { file: '/t.json', key: 'sub', field: 'port', allow: ['127.0.0.1'] } };
const bootstrap = {
  cookie: 'own',
  check: { path: '/session', field: 'ok' },
  mint: { command: ['/bin/mint', '{sub}', '{os_user}', '{"a": 1}', '--as={sub}'], field: 'code' },
  exchange: { paths: ['/pair'], body: { code: ['{credential}'] } },
  redirect: '/',
};
const entry = (more: object) => ({ prefix: '/', upstream: 'http://127.0.0.1:{port}/', bootstrap, ...more });
const parse = (more: object) =>
  parseRoutes(JSON.stringify({ targets, routes: [entry(more)] }), '/routes.yaml', NO_BACKENDS);
const problem = (more: object) => linesOf(parse(more)).join('\n').replace('/routes.yaml:1: ', '');
const inside = (more: object) => problem({ bootstrap: { ...bootstrap, ...more } });

describe('bootstrap', () => {
  it('asks the table for the fields that its command names', () => {
    const result = parse({});
    assert.ok('table' in result, linesOf(result).join('\n'));
    assert.deepEqual(tablesOf(result.table.routes), [
      { name: 'port', file: '/t.json', fields: ['port', 'os_user'] },
    ]);
  });

  it('that is wrong is named with what is wrong', () => {
    assert.match(problem({ auth: 'public' }), /^bootstrap: does not go with auth: public/);
    assert.match(problem({ once: true }), /^bootstrap: does not go with once/);
    assert.match(
      problem({ upstream: 'ws://a/' }),
      /^bootstrap: goes with http:\/\/ and https:\/\/ upstreams only/,
    );
    assert.match(problem({ upstream: 'http://a/' }), /^bootstrap\.mint\.command: \{os_user\} is not known/);
    assert.equal(problem({ upstream: 'http://{none}/' }), 'upstream: "{none}" is none of the targets');
    assert.match(inside({ mint: { field: 'x' } }), /^bootstrap\.mint: must name one of command and url/);
    for (const command of [[], [''], ['{sub}'], 'mint', ['a', 1], ['a\0']])
      assert.match(inside({ mint: { command, field: 'x' } }), /^bootstrap\.mint\.command/);
    for (const url of ['ftp://a/', 'a', 'http://a/#b'])
      assert.match(inside({ mint: { url, field: 'x' } }), /^bootstrap\.mint\.url/);
    for (const redirect of ['//evil.test/', '/\\evil.test', 'javascript:alert(1)', '', undefined])
      assert.match(inside({ redirect }), /^bootstrap\.redirect/);
    assert.match(inside({ cookie: 'a b' }), /^bootstrap\.cookie/);
    assert.match(inside({ check: { path: 'x', field: 'y' } }), /^bootstrap\.check\.path/);
    assert.match(
      inside({ exchange: { paths: ['/x'], body: { credential: 1 } } }),
      /^bootstrap\.exchange\.body: .*holds \{credential\}/,
    );
    assert.match(inside({ extra: 1 }), /^bootstrap\.extra: is not a key/);
  });

  it('runs its command without the variables of the gateway', () => {
    const env = {
      PATH: '/bin',
      LANG: 'C',
      ADMIN_TOKEN: 'x'.repeat(20),
      CACHE_SECRET_FILE: '/none',
      https_proxy: 'p:1',
    };
    const { config } = readEnvironment({ ...env, CACHE_SECRET_FILE: '' }) as {
      config: { commandEnvironment: object };
    };
    assert.deepEqual(config.commandEnvironment, { PATH: '/bin', LANG: 'C' });
  });
});
