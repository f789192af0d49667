import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { describe, it } from 'node:test';
import { parseRoutes } from '../../../internal/config/routes/routes.js';
import { compiledSchemas } from '../../../internal/config/schemas/compiled.js';
import { readSchemas } from '../../../internal/config/schemas/read.js';
import { directory, linesOf, put } from '../files.js';
import { NO_BACKENDS } from '../route-defaults.js';

function faultsOf(t: TestContext, text: string, name = 'api.yaml'): readonly string[] {
  const folder = directory(t);
  put(folder, name, text);
  const read = readSchemas(name, folder);
  return 'faults' in read ? read.faults : [];
}

/** The check of the body of the only endpoint. */
function bodyCheck(t: TestContext, schema: object, detail = false) {
  const folder = directory(t);
  put(
    folder,
    'api.json',
    JSON.stringify({ endpoints: [{ method: 'POST', path: '/', body: schema, detail }] }),
  );
  const read = readSchemas('api.json', folder);
  assert.ok('schemas' in read, JSON.stringify(read));
  const check = compiledSchemas(read.schemas).endpoints[0]?.body;
  assert.ok(check);
  return check;
}

describe('a schema file', () => {
  it('is YAML or JSON', (t) => {
    const yaml = 'endpoints:\n  - {method: GET, path: "/x/{id}", query: {type: object}}\n';
    assert.deepEqual(faultsOf(t, yaml), []);
    assert.deepEqual(
      faultsOf(t, '{"unknown":"pass","endpoints":[{"method":"GET","path":"/"}]}', 'api.json'),
      [],
    );
  });

  const bad: readonly (readonly [string, RegExp])[] = [
    ['endpoints:\n  - {method: GET, path: x}\n', /^api.yaml:2: endpoints\[0\].path: /],
    ['endpoints:\n  - {method: GET, path: //x}\n', /^api.yaml:2: endpoints\[0\].path: /],
    ['endpoints:\n  - {method: GET, path: "/a{b}"}\n', /^api.yaml:2: endpoints\[0\].path: /],
    ['endpoints:\n  - {method: HEAD, path: /}\n', /^api.yaml:2: endpoints\[0\].method: /],
    ['endpoint: []\n', /^api.yaml:1: endpoint: is not a key/],
    [
      'endpoints:\n  - method: GET\n    path: /a/{x}\n  - method: GET\n    path: /a/{y}\n',
      /^api.yaml:5: endpoints\[1\].path: is the same/,
    ],
    [
      'endpoints:\n  - method: POST\n    path: /\n    body:\n      type: objekt\n',
      /^api.yaml:5: endpoints\[0\].body.type: /,
    ],
    [
      'endpoints:\n  - method: POST\n    path: /\n    body:\n      properties:\n        a:\n          requried: [b]\n',
      /^api.yaml:7: .*requried: is no keyword/,
    ],
    [
      'endpoints:\n  - method: POST\n    path: /\n    body:\n      pattern: "(?=a)"\n',
      /^api.yaml:5: .*pattern: must be a regular expression that RE2 takes/,
    ],
    [
      'endpoints:\n  - method: POST\n    path: /\n    body:\n      pattern: "("\n',
      /^api.yaml:5: .*pattern: /,
    ],
    [
      'endpoints:\n  - method: POST\n    path: /\n    body:\n      patternProperties:\n        "(a)\\\\1": true\n',
      /^api.yaml:6: /,
    ],
    [
      'endpoints:\n  - method: POST\n    path: /\n    body:\n      format: colour\n',
      /^api.yaml:5: .*format: must be one of date/,
    ],
    [
      'endpoints:\n  - method: POST\n    path: /\n    body:\n      $ref: "#/$defs/x"\n',
      /^api.yaml:5: .*leads nowhere/,
    ],
    [
      'endpoints:\n  - method: POST\n    path: /\n    body:\n      $ref: https://example.com/s\n',
      /^api.yaml:5: .*leads nowhere/,
    ],
    [
      'endpoints:\n  - method: POST\n    path: /\n    body:\n      $schema: http://json-schema.org/draft-07/schema#\n',
      /^api.yaml:5: .*2020-12/,
    ],
    ['endpoints:\n  - method: POST\n    path: /\n    body: [1]\n', /^api.yaml:4: .*must be a JSON Schema/],
    ['endpoints:\n  - {a\n', /^api.yaml:\d: YAML: /],
    [
      'endpoints:\n  - method: POST\n    path: /\n    body: &a\n      allOf:\n        - *a\n',
      /^api.yaml:6: YAML: an alias inside of what it stands for/,
    ],
    ['rpc:\n  add:\n    param: {}\n', /^api.yaml:\d: rpc.add/],
  ];
  for (const [text, expected] of bad)
    it(`with ${JSON.stringify(text.slice(0, 90))} is refused with its line`, (t) => {
      assert.match(faultsOf(t, text)[0] ?? '', expected);
    });

  it('with more names in one place than can be compiled is refused with that line, and what to do', (t) => {
    const names = (count: number) =>
      Array.from({ length: count }, (_, at) => `p${at}: {type: string}`).join(', ');
    const body = `      properties:\n        few: { properties: { ${names(9)} } }\n        many:\n          properties: { ${names(6000)} }\n`;
    const [fault] = faultsOf(t, `endpoints:\n  - method: POST\n    path: /\n    body:\n${body}`);
    assert.match(fault ?? '', /^api\.yaml:8: .*holds 6000 schemas, too many .* of allOf$/);
  });

  it('that is bad is an error of the routes file, which names both lines', (t) => {
    const folder = directory(t);
    put(folder, 'api.yaml', 'endpoints:\n  - method: GET\n    path: nowhere\n');
    const text = '- prefix: /a\n  upstream: http://a\n  schemas: api.yaml\n';
    const [line = ''] = linesOf(parseRoutes(text, put(folder, 'routes.yaml', text), NO_BACKENDS));
    assert.match(line, /routes.yaml:3: schemas: api.yaml:3: endpoints\[0\].path: /);
  });

  it('has narrower endpoints first', (t) => {
    const folder = directory(t);
    const paths = ['/{a}/{b}', '/x/{b}', '/{a}/y', '/x/y'];
    put(folder, 'a.json', JSON.stringify({ endpoints: paths.map((path) => ({ method: 'GET', path })) }));
    const read = readSchemas('a.json', folder);
    assert.ok('schemas' in read);
    assert.deepEqual(
      compiledSchemas(read.schemas).endpoints.map(({ segments }) =>
        segments.map((one) => one ?? '{}').join('/'),
      ),
      ['x/y', 'x/{}', '{}/y', '{}/{}'],
    );
  });

  it('is compiled again after it has crossed to another process', (t) => {
    const folder = directory(t);
    put(folder, 'a.json', '{"endpoints":[{"method":"GET","path":"/"}]}');
    const read = readSchemas('a.json', folder);
    assert.ok('schemas' in read);
    const crossed = structuredClone(read.schemas);
    assert.notEqual(compiledSchemas(crossed), compiledSchemas(read.schemas));
    assert.equal(compiledSchemas(crossed), compiledSchemas(crossed));
    assert.equal(compiledSchemas(crossed).endpoints.length, 1);
  });
});

describe('a check', () => {
  it('names the place, and never a value', (t) => {
    const check = bodyCheck(t, {
      type: 'object',
      properties: { age: { type: 'integer' }, kind: { enum: ['a', 'b'] } },
      required: ['age'],
      additionalProperties: false,
    });
    assert.equal(check({ age: 3, kind: 'a' }, false), undefined);
    assert.deepEqual(check({ age: 'secret' }, false), [{ path: '/age', message: 'must be integer' }]);
    assert.deepEqual(check({}, false)?.[0]?.path, '/age');
    assert.deepEqual(check({ age: 1, 'a/b': 1 }, false)?.[0]?.path, '/a~1b');
    assert.doesNotMatch(JSON.stringify(check({ age: 1, kind: 'secret' }, false)), /secret/);
  });

  it('lists all that is wrong when asked for, up to 50', (t) => {
    const check = bodyCheck(t, { type: 'array', items: { type: 'integer' } }, true);
    assert.equal(check(['a', 1, 'b'], true)?.length, 2);
    assert.equal(check(Array(1000).fill('a'), true)?.length, 50);
    assert.equal(check(['a', 'b'], false)?.length, 1);
  });

  it('does not take what every object inherits for a property', (t) => {
    const check = bodyCheck(t, {
      type: 'object',
      required: ['constructor'],
      properties: { isAdmin: { const: false } },
    });
    assert.equal(check({}, false)?.length, 1);
    assert.equal(check(JSON.parse('{"__proto__":{"isAdmin":true},"constructor":1}'), false), undefined);
    const closed = bodyCheck(t, { type: 'object', additionalProperties: false });
    assert.equal(closed(JSON.parse('{"__proto__":{"isAdmin":true}}'), false)?.length, 1);
  });

  it('takes linear time for patterns that make others run for ever', (t) => {
    const text = `${'a'.repeat(1_000_000)}!`;
    for (const pattern of [
      '^(a+)+$',
      '^(a|aa)+$',
      '(x+x+)+y',
      '^(([a-z]{1,10}){1,10}){1,10}$',
      '(.*a){12}$',
    ]) {
      const check = bodyCheck(t, { type: 'string', pattern });
      const start = performance.now();
      assert.equal(check(text, false)?.length, 1, pattern);
      assert.ok(performance.now() - start < 5_000, pattern);
    }
  });

  it('takes ECMAScript patterns', (t) => {
    const check = bodyCheck(t, { type: 'string', pattern: '^\\u0041\\d{2}[^\\s@]+$' });
    assert.equal(check('A12b', false), undefined);
    assert.equal(check('A1b', false)?.length, 1);
    const both = bodyCheck(t, { allOf: [{ pattern: '^a' }, { pattern: 'b$' }] });
    for (const [text, faults] of [
      ['ab', 0],
      ['a', 1],
      ['b', 1],
    ] as const)
      assert.equal(both(text, true)?.length ?? 0, faults, text);
  });

  it('takes linear time for formats and unique items', (t) => {
    const long = 'a'.repeat(500_000);
    for (const format of [
      'email',
      'uri',
      'uri-reference',
      'hostname',
      'date-time',
      'regex',
      'uri-template',
    ]) {
      const check = bodyCheck(t, { type: 'string', format });
      const start = performance.now();
      for (const text of [
        `${long}@`,
        `http://${long}\\`,
        `${'('.repeat(500_000)}`,
        `${'a.'.repeat(250_000)}!`,
      ])
        assert.equal(check(text, false)?.length, 1, format);
      assert.ok(performance.now() - start < 5_000, format);
    }
    const unique = bodyCheck(t, { type: 'array', uniqueItems: true });
    const items = Array.from({ length: 100_000 }, (_, index) => [index]);
    const start = performance.now();
    assert.equal(unique(items, false), undefined);
    assert.equal(unique([...items, [7]], false)?.length, 1);
    assert.ok(performance.now() - start < 5_000);
    assert.equal(
      unique(
        [
          { a: 1, b: [2] },
          { b: [2], a: 1 },
        ],
        false,
      )?.length,
      1,
    );
    assert.equal(unique([1, '1', true, 'true', null, 'null', [], {}], false), undefined);
  });

  it('follows references to itself', (t) => {
    const check = bodyCheck(t, {
      type: 'object',
      properties: { child: { $ref: '#' } },
      additionalProperties: false,
    });
    assert.equal(check({ child: { child: {} } }, false), undefined);
    assert.equal(check({ child: { child: 1 } }, false)?.[0]?.path, '/child/child');
  });

  describe('of a schema that refers to itself', () => {
    const nested = (depth: number, value: unknown): unknown =>
      depth === 0 ? value : [nested(depth - 1, value)];
    const leaves = Array.from({ length: 100_000 }, (_, index) => index);
    const self = { $ref: '#' };
    const list = { type: ['array', 'number'], items: self };
    const greedy: readonly (readonly [what: string, schema: object])[] = [
      ['writes all below each level', { ...list, uniqueItems: true }],
      ['looks twice at each level', { ...list, items: { allOf: [self, self] } }],
      ['looks twice under two names', { ...list, allOf: [{ items: { $ref: '#/items' } }] }],
      [
        'tries one alternative after the other',
        { anyOf: ['a', 'b'].map((title) => ({ title, type: 'array', items: self })) },
      ],
      [
        'has many patterns for a long text',
        {
          items: { $ref: '#/$defs/text' },
          $defs: { text: { allOf: Array.from({ length: 9 }, () => ({ pattern: 'x$' })), pattern: 'y' } },
        },
      ],
    ];
    for (const [what, schema] of greedy)
      it(`and ${what} goes only as far as the value is worth`, (t) => {
        const check = bodyCheck(t, schema);
        const value = what.includes('patterns') ? ['yx'.repeat(100_000)] : nested(120, leaves);
        for (const every of [false, true])
          assert.deepEqual(check(value, every), [{ path: '', message: 'takes too long to check' }]);
        // The next one is worth as much as if nothing had been.
        assert.notEqual(check(['yx'], false)?.[0]?.message, 'takes too long to check');
      });

    it('takes what is large, deep or has many alternatives', (t) => {
      const unique = bodyCheck(t, { ...list, uniqueItems: true });
      assert.equal(unique(leaves, false), undefined);
      assert.equal(unique(nested(120, [1, 2]), false), undefined);
      const tree = bodyCheck(t, {
        type: 'object',
        required: ['name'],
        properties: {
          name: { type: 'string', pattern: '^[a-z]+$' },
          children: { type: 'array', items: self },
        },
      });
      const grow = (depth: number): object => ({
        name: 'a node of it'.replaceAll(' ', ''),
        children: depth === 0 ? [] : Array.from({ length: 4 }, () => grow(depth - 1)),
      });
      assert.equal(tree(grow(7), false), undefined);
      const codes = bodyCheck(t, {
        items: { $ref: '#/$defs/code' },
        $defs: { code: { oneOf: Array.from({ length: 100 }, (_, code) => ({ const: code })) } },
      });
      assert.equal(codes(Array(10_000).fill(7), false), undefined);
    });
  });

  it('survives a schema that refers to itself without looking deeper', (t) => {
    const check = bodyCheck(t, { allOf: [{ $ref: '#' }] });
    assert.equal(check(1, false)?.[0]?.message, 'cannot be checked');
  });

  it('knows the formats of the draft', (t) => {
    const good = {
      'date-time': '2024-02-29T12:00:00Z',
      uuid: '00000000-0000-4000-8000-000000000000',
      ipv6: '::1',
    };
    for (const [format, text] of Object.entries(good)) {
      const check = bodyCheck(t, { type: 'string', format });
      assert.equal(check(text, false), undefined, format);
      assert.equal(check('x', false)?.length, 1, format);
    }
  });
});
