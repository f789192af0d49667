/**
 * Compiles the tests and what they use, file by file, so that not each of the hundreds
 * of test processes does it:
 *   npm run compile-tests
 * A compiled file takes itself for its source, and finds beside it what it looks for.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transformSync } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COMPILED = join(ROOT, 'node_modules/.cache/tests');

rmSync(COMPILED, { recursive: true, force: true });
mkdirSync(COMPILED, { recursive: true });
writeFileSync(join(COMPILED, 'package.json'), '{ "type": "module" }\n');
for (const folder of ['bench', 'cmd', 'fuzz', 'internal', 'scripts', 'test'])
  for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.ts')) compile(join(folder, name));

function compile(path: string): void {
  const source = join(ROOT, path);
  const { code } = transformSync(readFileSync(source, 'utf8'), {
    ...{ loader: 'ts', format: 'esm', target: 'node20', sourcefile: source, sourcemap: 'inline' },
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(source).href) },
  });
  const compiled = join(COMPILED, path.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(compiled), { recursive: true });
  writeFileSync(compiled, code);
}
