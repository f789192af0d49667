import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

it('npm run sbom prints a CycloneDX document of all that runs in production, and nothing else', async () => {
  const { dependencies, devDependencies } = JSON.parse(
    readFileSync(`${ROOT}/package.json`, 'utf8'),
  ) as Record<'dependencies' | 'devDependencies', Record<string, string>>;
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'sbom'], {
    cwd: ROOT,
    maxBuffer: 50_000_000,
  });
  const bom = JSON.parse(stdout) as {
    bomFormat: string;
    components: { name: string; version: string; purl: string }[];
  };
  assert.equal(bom.bomFormat, 'CycloneDX');
  for (const [name, version] of Object.entries(dependencies))
    assert.ok(
      bom.components.some((component) => component.name === name || version.includes(`${component.name}@`)),
      name,
    );
  for (const name of Object.keys(devDependencies))
    assert.ok(
      !bom.components.some((component) => component.name === name && component.purl.includes('tsx')),
      name,
    );
  for (const { name, purl } of bom.components) assert.match(purl, /^pkg:npm\//, name);
});
