import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(ROOT, 'docs/security-tests.md'), 'utf8');

/** How many cases each family has, in the order of the page. */
const FAMILIES = { C: 14, A: 16, V: 8, R: 7, B: 6, P: 5, D: 5, F: 9, X: 15, E: 13, T: 13, H: 20 };

const rows = [...page.matchAll(/^\| ([A-Z]-\d+) \| (.+?) \| (.+) \|$/gm)].map(
  ([, id = '', fault = '', cell = '']) => ({ id, fault, tests: cell.split('<br>') }),
);

/** The names that a file gives to its tests and groups of them, `…` for what is filled in. */
function titles(source: string): Set<string> {
  const named = source.matchAll(
    /\b(?:it|test|describe)\(\s*(?:'((?:\\.|[^\\'])*)'|"((?:\\.|[^\\"])*)"|`((?:\$\{(?:[^{}]|\{[^}]*\})*\}|\\.|[^\\`])*)`)/g,
  );
  return new Set(
    [...named].map(([, single, double, template = '']) =>
      (single ?? double ?? template.replaceAll(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, '…'))
        .replaceAll('\\u2019', '’')
        .replaceAll(/\\(.)/g, '$1'),
    ),
  );
}

describe('docs/security-tests.md', () => {
  it('has every case once, in order', () => {
    const expected = Object.entries(FAMILIES).flatMap(([family, count]) =>
      Array.from({ length: count }, (_, index) => `${family}-${String(index + 1).padStart(2, '0')}`),
    );
    assert.deepEqual(
      rows.map(({ id }) => id),
      expected,
    );
  });

  for (const { id, tests } of rows)
    it(`names tests that there are: ${id}`, () => {
      for (const test of tests) {
        const [, file = '', title = ''] = /^`([\w/-]+)` “(.+)”$/.exec(test) ?? [];
        const path = join(ROOT, 'test', `${file}.test.ts`);
        assert.ok(existsSync(path), test);
        assert.ok(titles(readFileSync(path, 'utf8')).has(title.replaceAll('\\|', '|')), test);
      }
    });
});
