import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

it('npm run sbom prints a CycloneDX document of all that runs in production, and nothing else', async () => {
  const { dependencies } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'sbom'], {
    cwd: ROOT,
    maxBuffer: 50_000_000,
  });
  const bom = JSON.parse(stdout) as {
    bomFormat: string;
    components: { name: string; version: string; purl: string }[];
  };
  assert.equal(bom.bomFormat, 'CycloneDX');
  const names = new Set(bom.components.map(({ name }) => name));
  assert.deepEqual(
    Object.keys(dependencies).filter((name) => !names.has(name.replace(/^@.*\//, '')) && !names.has(name)),
    [],
  );
  for (const name of ['typescript', 'tsx', 'biome', '@biomejs/biome', 'knip'])
    assert.ok(!names.has(name), name);
  for (const { name, purl } of bom.components) assert.match(purl, /^pkg:npm\//, name);
});
