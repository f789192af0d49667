import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { test } from 'node:test';
import { CLOSE_REASONS, type CloseReason } from '../internal/close-codes.js';
import { pages } from '../scripts/docs.js';
import { logSentences } from './support/log-sentences.js';

const reasons: readonly CloseReason[] = Object.values(CLOSE_REASONS);

for (const { path, text } of pages()) {
  test(`${basename(dirname(path))}/${basename(path)} says what the source says`, async () => {
    assert.equal(await readFile(path, 'utf8'), text, 'run: npm run docs');
  });
}

test('every close code and text that the README shows is one that the gateway sends', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const shown = [...readme.matchAll(/\b(1\d{3}) "([^"]+)"/g)].map(([, code, text]) => `${code} ${text}`);
  const sent = new Set(reasons.map(({ client }) => `${client?.code} ${client?.reason}`));
  assert.notEqual(shown.length, 0);
  assert.deepEqual(
    shown.filter((each) => !sent.has(each)),
    [],
  );
});

test('every name in the close-code table is there once', () => {
  const names = reasons.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
});

test('docs/troubleshooting.md says of every sentence of the log what to make of it, and of no other', async () => {
  const page = await readFile(new URL('../docs/troubleshooting.md', import.meta.url), 'utf8');
  const [, section = ''] = /\n## Lines of the log\n([\s\S]*?)\n## /.exec(page) ?? [];
  const explained = [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, text = '']) => text);
  const written = new Set(logSentences('internal'));
  assert.ok(written.size > 40);
  assert.deepEqual(
    [...explained].sort((a, b) => a.localeCompare(b)),
    [...new Set(explained)].sort((a, b) => a.localeCompare(b)),
  );
  assert.deepEqual(
    {
      missing: [...written].filter((text) => !explained.includes(text)),
      strange: explained.filter((text) => !written.has(text)),
    },
    { missing: [], strange: [] },
  );
});
