import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import {
  type LoadedConfiguration,
  loadConfiguration,
} from '../../../internal/config/environment/environment.js';
import { directory, linesOf, put } from '../files.js';

const RIGHT = { JWKS_URL: 'http://127.0.0.1/jwks', JWT_EXPECTED_AUDIENCE: 'a' };

/** What the gateway makes of a settings file beside an environment; messages say `settings.yaml`. */
function load(
  t: TestContext,
  text: string,
  env: Readonly<Record<string, string>> = RIGHT,
  routeFile?: string,
) {
  const folder = directory(t);
  const file = put(folder, 'settings.yaml', text);
  const routes = put(folder, 'routes.yaml', '- {prefix: /a, upstream: ws://a}\n');
  const result = loadConfiguration({ ROUTE_FILE: routes, ...env, CONFIG_FILE: file }, { routeFile });
  return { result, folder, lines: linesOf(result).map((line) => line.replaceAll(`${folder}/`, '')) };
}

function loaded(t: TestContext, text: string, env?: Readonly<Record<string, string>>): LoadedConfiguration {
  const { result, lines } = load(t, text, env);
  assert.ok('config' in result, lines.join('\n'));
  return result;
}

describe('CONFIG_FILE', () => {
  it('sets variables under their own names: numbers, words, lists', (t) => {
    const { config } = loaded(
      t,
      `
# settings of the edge
PORT: 9000
JWT_CLOSE_ON_EXPIRY: false
WS_DIAL_TIMEOUT_SECONDS: 0.5
JWT_EXPECTED_AUDIENCE: [0123, 1e3]
TRUSTED_PROXIES:
  - 10.0.0.0/8
  - "::1"
ADMIN_TOKEN: 00012345678901234567890
MAX_CONNECTIONS:
`,
      { JWKS_URL: RIGHT.JWKS_URL },
    );
    assert.equal(config.listen.port, 9000);
    assert.equal(config.verification.closeOnExpiry, false);
    assert.equal(config.upstream.dialTimeoutMs, 500);
    assert.deepEqual(config.verification.audiences, ['0123', '1e3'], 'to the letter');
    assert.deepEqual(config.opening.trustedProxies, ['10.0.0.0/8', '::1']);
    assert.equal(config.adminToken, '00012345678901234567890');
    assert.equal(config.opening.maxConnections, 0, 'what is empty is unset');
  });

  it('loses to the environment, name by name, however either gives the value', (t) => {
    const folder = directory(t);
    const secret = put(folder, 'secret', 'from-a-file\n');
    const { config } = loaded(
      t,
      `PORT: 9000\nHOST: 192.0.2.1\nADMIN_TOKEN: of-the-settings\nCACHE_SECRET_FILE: ${secret}\nHTTP_PROXY: a:1\n`,
      { ...RIGHT, PORT: '9001', HOST: '', ADMIN_TOKEN_FILE: secret, http_proxy: 'b:2' },
    );
    assert.equal(config.listen.port, 9001);
    assert.equal(config.listen.host, '192.0.2.1', 'an empty variable is unset');
    assert.equal(config.adminToken, 'from-a-file');
    assert.equal(config.tokenCache.secret, 'from-a-file');
    assert.equal(config.verification.proxies.http, 'b:2');
  });

  it('may name the routes file, and loses to --route-file', (t) => {
    const folder = directory(t);
    const named = put(folder, 'named.yaml', '- {prefix: /named, upstream: ws://a}\n');
    const flag = put(folder, 'flag.yaml', '- {prefix: /flag, upstream: ws://a}\n');
    const text = `ROUTE_FILE: ${named}\n`;
    const prefix = (routeFile?: string) => {
      const { result, lines } = load(t, text, { ...RIGHT, ROUTE_FILE: '' }, routeFile);
      assert.ok('table' in result, lines.join('\n'));
      return result.table.routes[0]?.prefix;
    };
    assert.deepEqual([prefix(), prefix(flag)], ['/named', '/flag']);
  });

  it('that is wrong says so with its line, and never shows a secret', (t) => {
    const { lines } = load(
      t,
      `PORT: 99999
MAX_MESSAGE_BYTE: 5
ADMIN_TOKEN: "hunter 2"
REDIS_URL: http://user:hunter2@x
WORKERS: {a: 1}
CONFIG_FILE: other.yaml
NONSENSE: 1
JWT_EXPECTED_AUDIENCE: ["a,b"]
LISTENER: node
WS_COMPRESSION: shared
`,
      { JWKS_URL: RIGHT.JWKS_URL, PORT: '' },
    );
    const starts = [
      'settings.yaml:2: MAX_MESSAGE_BYTE: is not a variable of the gateway; did you mean MAX_MESSAGE_BYTES?',
      'settings.yaml:5: WORKERS: must be a text, a number, true or false, or a list of them',
      'settings.yaml:6: CONFIG_FILE: is not a variable of the gateway that may stand here',
      'settings.yaml:7: NONSENSE: is not a variable of the gateway that may stand here',
      'settings.yaml:8: JWT_EXPECTED_AUDIENCE: has an item with a comma in it, which would be two',
      'settings.yaml:1: PORT: "99999" is not allowed: must be a whole number',
      'settings.yaml:4: REDIS_URL: the value is not allowed',
      'settings.yaml:3: ADMIN_TOKEN: the value is not allowed',
      'settings.yaml:10: WS_COMPRESSION: "shared" is not allowed beside LISTENER=node',
    ];
    for (const start of starts)
      assert.ok(
        lines.some((line) => line.startsWith(start)),
        `${start}\n\n${lines.join('\n')}`,
      );
    assert.equal(lines.length, starts.length, lines.join('\n'));
    assert.doesNotMatch(lines.join('\n'), /hunter/);
  });

  it('warns with the line too', (t) => {
    const { warnings } = loaded(t, 'JWT_CACHE_STORE: redis\nREDIS_URL: redis://r\nCACHE_SECRET: short\n');
    assert.deepEqual(
      warnings.map(({ name }) => name.replace(/^.*settings\.yaml/, 'settings.yaml')),
      ['settings.yaml:3: CACHE_SECRET'],
    );
  });

  it('must be there, and a mapping', (t) => {
    const missing = loadConfiguration({ ...RIGHT, CONFIG_FILE: '/nowhere/settings.yaml' });
    assert.ok(linesOf(missing).includes('CONFIG_FILE: "/nowhere/settings.yaml" does not exist'));
    assert.match(load(t, '- PORT: 1\n').lines.join('\n'), /^settings\.yaml:1: must be a mapping of names/);
    assert.match(
      load(t, 'PORT: 1\nPORT: 2\n').lines.join('\n'),
      /^settings\.yaml:2: YAML: the key "PORT" is given twice/,
    );
    assert.match(load(t, 'PORT: [\n').lines.join('\n'), /^settings\.yaml:\d: YAML: /);
    assert.deepEqual(load(t, '# nothing\n').lines, []);
  });
});
