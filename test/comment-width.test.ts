import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { formatter } = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8')) as {
  readonly formatter: { readonly lineWidth: number };
};

/** A line of a comment, whether it stands alone or behind code. */
const COMMENT = /^\s*(?:\/\/|\/?\*)|\s\/\/ /;

// The formatter keeps code within its width, and leaves comments as they are.
it('comments keep within the width of the code', () => {
  const files = execFileSync('git', ['ls-files', '*.ts', '*.js', '*.mjs'], { cwd: ROOT, encoding: 'utf8' });
  const wide = files
    .trim()
    .split('\n')
    .flatMap((file) =>
      readFileSync(join(ROOT, file), 'utf8')
        .split('\n')
        .flatMap((line, index) =>
          line.length > formatter.lineWidth && COMMENT.test(line) ? [`${file}:${index + 1}`] : [],
        ),
    );
  assert.deepEqual(wide, []);
});
