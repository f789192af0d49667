import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { ERROR_CODES, fromUnknown, GatewayError } from '../internal/errors.js';

describe('the error catalogue', () => {
  it('names every error once, explained, and every one is raised somewhere', async () => {
    const root = new URL('../internal/', import.meta.url);
    const files = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const sources = await Promise.all(files.map((name) => readFile(new URL(name, root), 'utf8')));
    const source = sources.filter((text) => !text.includes('ERROR_CODES =')).join('\n');
    for (const [code, meaning] of Object.entries(ERROR_CODES)) {
      assert.match(code, /^ERR_[A-Z]+(?:_[A-Z]+)*$/);
      assert.notEqual(meaning, '');
      assert.ok(source.includes(`'${code}'`), `${code} is never raised`);
    }
    for (const [, code] of source.matchAll(/'(ERR_(?!HTTP|INVALID|SSL|TLS|SOCKET|STREAM)[A-Z_]+)'/g))
      assert.ok(code !== undefined && code in ERROR_CODES, `${code} is not in the catalogue`);
  });
});

describe('an error', () => {
  it('keeps its code and what caused it', () => {
    const cause = new Error('below');
    const error = new GatewayError('ERR_STORE', 'Redis refused', { cause });
    assert.deepEqual(
      [error.name, error.code, error.message, error.cause],
      ['GatewayError', 'ERR_STORE', 'Redis refused', cause],
    );
    assert.ok(error instanceof Error);
    assert.equal(new GatewayError('ERR_STORE', 'x').cause, undefined);
  });

  it('is made of whatever was thrown', () => {
    const error = new Error('x');
    assert.equal(fromUnknown(error), error);
    for (const thrown of ['text', 0, null, undefined, { a: 1 }, Symbol('s')]) {
      const made = fromUnknown(thrown);
      assert.ok(made instanceof Error);
      assert.equal(made.message, String(thrown));
      assert.equal(made.cause, thrown);
    }
  });
});
