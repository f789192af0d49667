import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonSchema } from '../../../internal/config/config.js';
import { SchemaCompiler } from '../../../internal/config/schemas/compile.js';

const TOO_LONG = [{ path: '', message: 'takes too long to check' }];

function numbered<T>(count: number, item: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => item(index));
}

function named(count: number, schema: JsonSchema): Record<string, JsonSchema> {
  return Object.fromEntries(numbered(count, (index) => [`name${index}`, schema]));
}

function check(schema: object, value: unknown, every = false) {
  return new SchemaCompiler().check(schema as JsonSchema)(value, every);
}

describe('a check of a schema that refers to nothing', () => {
  const costly: readonly (readonly [what: string, schema: object, value: unknown])[] = [
    [
      'alternatives for each of many items',
      { items: { oneOf: numbered(120, (code) => ({ const: code })) } },
      Array(500_000).fill(119),
    ],
    [
      'alternatives that fail by their type',
      { items: { anyOf: [...numbered(120, () => ({ type: 'string' })), { type: 'integer' }] } },
      Array(500_000).fill(6),
    ],
    [
      'properties that many objects have not',
      { items: { properties: named(300, { type: 'string' }) } },
      numbered(300_000, () => ({})),
    ],
    [
      'properties that others must go with',
      { items: { dependentRequired: named(300, ['other'] as never) } },
      numbered(300_000, () => ({})),
    ],
    [
      'names that each member is compared with',
      {
        anyOf: numbered(5, () => ({ properties: named(300, true), unevaluatedProperties: { type: 'null' } })),
      },
      Object.fromEntries(numbered(90_000, (index) => [`k${index}`, 1])),
    ],
    [
      'patterns for many short texts',
      { items: { allOf: numbered(20, (index) => ({ pattern: `^[a-z]{1,${index + 1}}$` })) } },
      Array(200_000).fill('a'),
    ],
    [
      'patterns for many names',
      { patternProperties: Object.fromEntries(numbered(30, (index) => [`^k[0-9]{1,${index + 5}}$`, true])) },
      Object.fromEntries(numbered(90_000, (index) => [`k${index}`, 1])),
    ],
    [
      'formats for many texts',
      { items: { anyOf: [...numbered(20, () => ({ format: 'ipv6' })), true] } },
      Array(30_000).fill('a:a:a:a:a:a:a:a:a:a:1.1.1.1.1'),
    ],
    [
      'lists of unique items in one another',
      numbered(8, () => 0).reduce((items: object) => ({ type: 'array', uniqueItems: true, items }), {}),
      numbered(7, () => 0).reduce(
        (list: unknown[]) => [list],
        numbered(120_000, (index) => index),
      ),
    ],
  ];
  for (const [what, schema, value] of costly)
    it(`with ${what} goes only as far as a value is worth`, () => {
      assert.deepEqual(check(schema, value), TOO_LONG);
    });

  it('takes a mebibyte of what is usual', () => {
    const order = {
      type: 'object',
      required: ['id', 'kind', 'lines'],
      additionalProperties: false,
      properties: {
        ...named(30, { type: 'string', maxLength: 10 }),
        id: { type: 'string', format: 'uuid' },
        kind: { enum: ['new', 'old'] },
        lines: {
          type: 'array',
          uniqueItems: true,
          items: { oneOf: numbered(8, (index) => ({ properties: { code: { const: index } } })) },
        },
      },
    };
    const orders = numbered(5_000, (index) => ({
      id: '00000000-0000-4000-8000-000000000000',
      kind: index % 2 === 0 ? 'new' : 'old',
      lines: [{ code: 1 }, { code: 7, amount: 12, unit: 'metre' }],
      name7: 'seven',
    }));
    assert.ok(JSON.stringify(orders).length > 600_000);
    assert.equal(check({ type: 'array', items: order }, orders), undefined);
    assert.equal(check({ items: { type: 'integer', minimum: 0 } }, Array(500_000).fill(1)), undefined);
    assert.equal(check({ type: 'string', pattern: '^[a-z]+$' }, 'a'.repeat(1_000_000)), undefined);
    const pairs = { items: { prefixItems: [{ type: 'number' }, { type: 'number' }], items: false } };
    assert.equal(
      check(
        pairs,
        numbered(100_000, (index) => [index, index]),
      ),
      undefined,
    );
  });

  it('lists faults as far as they are found in a fraction of that', () => {
    const schema = { items: { type: 'string', maxLength: 1 } };
    assert.equal(check(schema, Array(20_000).fill(1), true)?.length, 50);
    assert.equal(check(schema, Array(500_000).fill(1), true)?.length, 1);
  });
});

describe('allowed values', () => {
  it('are found however many there are', () => {
    const schema = { items: { enum: numbered(20_000, (index) => index) } };
    assert.equal(check(schema, Array(200_000).fill(19_999)), undefined);
    assert.equal(check(schema, [20_000])?.[0]?.message, 'must be equal to one of the allowed values');
  });

  it('are equal by what they are, in whatever order their members come', () => {
    const schema = { enum: [0, '1', null, { a: 1, b: [true] }, []] };
    for (const value of [0, -0, '1', null, { b: [true], a: 1 }, []])
      assert.equal(check(schema, value), undefined, JSON.stringify(value));
    for (const value of ['0', 1, false, {}, { a: 1 }, { a: 1, b: [1] }, [0], 'null', '[]'])
      assert.equal(check(schema, value)?.length, 1, JSON.stringify(value));
  });
});
