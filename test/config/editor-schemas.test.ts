import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { loadConfiguration } from '../../internal/config/environment/environment.js';
import { VARIABLES } from '../../internal/config/environment/variables.js';
import { parseRoutes } from '../../internal/config/routes/routes.js';
import { type EntryKind, entrySchemas } from '../../internal/config/routes/schema.js';
import { directory, linesOf, put } from './files.js';
import { NO_BACKENDS } from './route-defaults.js';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: false });
const isRoutes = ajv.compile(JSON.parse(read('docs/routes.schema.json')));
const isSettings = ajv.compile(JSON.parse(read('docs/settings.schema.json')));

/** Whether the gateway takes it, in a folder where the files that routes name may be missing. */
function taken(value: unknown): boolean {
  const result = parseRoutes(JSON.stringify(value), 'routes.yaml', {
    ...NO_BACKENDS,
    respondVariables: { NODE_NAME: 'n' },
    environment: { SET: '5', ON: 'true', URL: 'ws://a', WORD: 'mqtt' },
  });
  return linesOf(result).length === 0;
}

/** Blocks of YAML in a page. */
function blocks(page: string): unknown[] {
  return [...read(page).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => parse(text));
}

const PAGES = ['docs/configuration.md', 'docs/routing.md', 'docs/http.md', 'docs/schemas.md', 'README.md'];
const BASE: Readonly<Record<EntryKind, Readonly<Record<string, unknown>>>> = {
  websocket: { prefix: '/a', upstream: 'wss://a' },
  http: { prefix: '/a', upstream: 'https://a' },
  respond: { prefix: '/a', respond: {} },
  files: { prefix: '/a', files: '.' },
  logout: { prefix: '/a', logout: null },
};
/** Values of every shape; those with text in them may be wrong in ways that only the gateway knows. */
const SHAPES: readonly unknown[] = [null, true, 0, 5, -1, 1.5, 1e12, [], [1], [[]], {}, { nothing: 1 }];
const WORDS: readonly unknown[] = [
  'x',
  '',
  ['x'],
  { x: 'y' },
  'required',
  'keep',
  'ws://a',
  ['ws://a'],
  { url: 'ws://a' },
];

describe('the JSON Schema of routes.yaml', () => {
  it('takes the routes file of the repository, and every one in the documentation', () => {
    assert.ok(isRoutes(parse(read('routes.yaml'))), JSON.stringify(isRoutes.errors));
    let count = 0;
    for (const page of PAGES)
      for (const block of blocks(page)) {
        const list: unknown =
          typeof block === 'object' && block !== null && 'routes' in block ? block.routes : block;
        if (!Array.isArray(list) || typeof list[0] !== 'object' || !('prefix' in list[0])) continue;
        count++;
        assert.ok(
          isRoutes(block),
          `${page}: ${JSON.stringify(block)} ${JSON.stringify(isRoutes.errors?.slice(0, 3))}`,
        );
      }
    assert.ok(count > 15, `${count} blocks`);
  });

  for (const kind of Object.keys(entrySchemas) as EntryKind[])
    it(`agrees with the gateway about every key of an entry: ${kind}`, () => {
      assert.ok(isRoutes([BASE[kind]]) && taken([BASE[kind]]));
      const keys = new Set(Object.values(entrySchemas).flatMap(({ shape }) => Object.keys(shape)));
      for (const key of [...keys, 'unknown'])
        for (const [values, isText] of [
          [SHAPES, false],
          [WORDS, true],
        ] as const)
          for (const value of values) {
            const entry = [{ ...BASE[kind], [key]: value }];
            const [said, is] = [isRoutes(entry), taken(entry)];
            if (is)
              assert.ok(
                said,
                `taken, and marked as wrong: ${JSON.stringify(entry)} ${JSON.stringify(isRoutes.errors)}`,
              );
            else if (!isText) assert.ok(!said, `refused, and not marked: ${JSON.stringify(entry)}`);
          }
    });

  it('knows that variables may stand for anything', () => {
    const entry = {
      prefix: '/a',
      upstream: `\${URL}`,
      appendPath: `\${ON}`,
      protocol: `\${WORD}`,
      rateLimit: { perSecond: `\${SET}`, burst: `\${SET}` },
    };
    assert.ok(isRoutes([entry]), JSON.stringify(isRoutes.errors));
    assert.ok(
      isRoutes([{ prefix: '/a', upstream: `\${URL}`, methods: ['GET'] }]),
      'an HTTP route, for all one knows',
    );
    assert.ok(!isRoutes([{ prefix: '/a', upstream: `\${URL}`, nonsense: 1 }]));
  });

  it('knows targets, and says which key is wrong', () => {
    const right = {
      targets: { a: { claim: 'c', allow: ['*.x'] }, b: { file: 'f', key: 'sub', field: 'p', allow: ['a'] } },
      routes: [{ prefix: '/', upstream: 'http://{a}:1/' }],
    };
    assert.ok(isRoutes(right), JSON.stringify(isRoutes.errors));
    for (const wrong of [
      { ...right, more: 1 },
      { ...right, targets: { a: { claim: 'c' } } },
      { ...right, targets: { a: { claim: 'c', allow: [], field: 1 } } },
      { targets: {} },
      'text',
      { prefix: '/' },
    ])
      assert.ok(!isRoutes(wrong) && !taken(wrong), JSON.stringify(wrong));
    assert.ok(!isRoutes([{ prefix: '/a', upstream: 'http://a', cors: { origin: [] } }]));
    assert.ok(isRoutes.errors?.some(({ params }) => params.additionalProperty === 'origin'));
  });

  it('explains the keys', () => {
    const { definitions } = JSON.parse(read('docs/routes.schema.json'));
    for (const kind of ['websocket', 'http'])
      for (const [key, { description }] of Object.entries<{ description?: string }>(
        definitions[kind].properties,
      ))
        assert.ok(
          description ||
            [
              'health',
              'tls',
              'mqtt',
              'rateLimit',
              'timeouts',
              'cors',
              'bootstrap',
              'requestHeaders',
              'responseHeaders',
            ].includes(key),
          `${kind}.${key}`,
        );
  });
});

describe('the JSON Schema of the settings file', () => {
  /** What is wrong with the shape, in the eyes of the gateway. */
  function complaints(t: TestContext, settings: unknown): string[] {
    const folder = directory(t);
    const file = put(folder, 'settings.yaml', JSON.stringify(settings));
    const lines = linesOf(loadConfiguration({ CONFIG_FILE: file, ROUTE_FILE: put(folder, 'r.yaml', '[]') }));
    return lines.filter((line) => line.startsWith(file));
  }

  it('knows every variable, by its value and by its file, and no other key', (t) => {
    for (const name of Object.keys(VARIABLES)) {
      if (name === 'CONFIG_FILE') continue;
      for (const settings of [{ [name]: '' }, { [name]: null }, { [`${name}_FILE`]: '' }])
        assert.ok(isSettings(settings), JSON.stringify([settings, isSettings.errors]));
    }
    for (const wrong of [
      { CONFIG_FILE: 'x' },
      { NONSENSE: 1 },
      { PORTS: 1 },
      { PORT: { a: 1 } },
      { JWT_QUERY_NAMES: [[1]] },
      [],
      5,
    ])
      assert.ok(!isSettings(wrong) && complaints(t, wrong).length > 0, JSON.stringify(wrong));
  });

  it('knows words, and how YAML writes them', (t) => {
    for (const right of [
      {
        LOG_LEVEL: 'debug',
        JWT_CLOSE_ON_EXPIRY: false,
        WORKERS: 'auto',
        PORT: 1,
        JWT_EXPECTED_AUDIENCE: ['a', 'b'],
      },
      { LISTENER: 'node', DISCOVERY: 'true', WS_COMPRESSION: 'off', TRUSTED_PROXIES: '10.0.0.0/8,::1' },
    ]) {
      assert.ok(isSettings(right), JSON.stringify(isSettings.errors));
      assert.deepEqual(complaints(t, right), []);
    }
    for (const wrong of [{ LOG_LEVEL: 'loud' }, { DISCOVERY: 'yes' }, { LISTENER: 5 }])
      assert.ok(!isSettings(wrong) && complaints(t, wrong).length > 0, JSON.stringify(wrong));
    for (const block of blocks('docs/configuration.md'))
      if (typeof block === 'object' && block !== null && 'PORT' in block)
        assert.ok(isSettings(block), JSON.stringify(isSettings.errors));
  });
});
