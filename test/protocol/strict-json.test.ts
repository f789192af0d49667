import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readStrictJson } from '../../internal/protocol/strict-json.js';

const read = (text: string) => readStrictJson(Buffer.from(text));

describe('strict JSON', () => {
  it('is any JSON text', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.deepEqual(read(JSON.stringify(value)), { value: JSON.parse(JSON.stringify(value)) });
      }),
      { seed: 20_240_602, numRuns: 500 },
    );
  });

  it('is nothing that JSON.parse refuses', () => {
    for (const text of [
      '',
      '{',
      '{"a":1,}',
      "{'a':1}",
      '[1,]',
      '01',
      '"\\',
      '"',
      'NaN',
      '{"a" "b"}',
      '\u00a01',
      ']',
    ])
      assert.deepEqual(read(text), { fault: 'not JSON' }, text);
  });

  it('has each name once in an object, however it is escaped', () => {
    for (const text of [
      '{"a":1,"a":2}',
      '[{"x":{"a":1,"b":[],"\\u0061":2}}]',
      '{"__proto__":1,"__proto__":2}',
      '{"":1 , "" :2}',
    ])
      assert.deepEqual(read(text), { fault: 'duplicate key' }, text);
    for (const text of [
      '{"a":{"a":{"a":"a"}},"b":"a"}',
      '[{"a":1},{"a":1}]',
      '{"a":"a","b":"\\"a\\":"}',
      '["a","a"]',
    ])
      assert.ok('value' in read(text), text);
  });

  it('is UTF-8 without a byte order mark', () => {
    assert.deepEqual(read('\uFEFF{}'), { fault: 'byte order mark' });
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0xfe, 0xff, 0, 0x7b, 0, 0x7d],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
    ])
      assert.deepEqual(readStrictJson(Uint8Array.from(bytes)), { fault: 'not UTF-8' });
    assert.deepEqual(readStrictJson(Buffer.from('{}', 'utf16le')), { fault: 'not JSON' });
  });

  it('nests 128 levels', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    assert.ok('value' in read(nested(128)));
    assert.deepEqual(read(nested(129)), { fault: 'nested too deeply' });
    assert.deepEqual(read(`"${'['.repeat(1000)}"`), { value: '['.repeat(1000) });
  });

  it('is told in no time from a mebibyte of brackets', () => {
    const start = performance.now();
    assert.deepEqual(read('['.repeat(1_048_576)), { fault: 'nested too deeply' });
    assert.ok(performance.now() - start < 1_000);
  });

  it('may be bound in the elements of the array that it is, and of no other', () => {
    const within = (text: string) => readStrictJson(Buffer.from(text), 3);
    for (const text of [
      '[]',
      '[1,2,3]',
      ' [[1,2,3,4],",,,",{"a":1,"b":2,"c":3,"d":4}]',
      '{"a":[1,2,3,4],"b":2,"c":3,"d":4}',
    ])
      assert.ok('value' in within(text), text);
    for (const text of ['[1,2,3,4]', '\n\t\r [1,[2],{"a":3},4', `[${'1,'.repeat(524_286)}1]`])
      assert.deepEqual(within(text), { fault: 'too many elements' }, text.slice(0, 30));
  });

  it('keeps __proto__ as a name like others', () => {
    const reading = read('{"__proto__":{"admin":true}}');
    assert.ok('value' in reading);
    const value = reading.value as object;
    assert.ok(Object.hasOwn(value, '__proto__'));
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
  });
});
