import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startChild } from '../../support/child-process.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('../../..', import.meta.url));

describe('the package', () => {
  let folder: string;
  let program: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'package-'));
    // What is in dist/ has been built; nothing is to be built again in the midst of other tests.
    const packed = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], {
      cwd: SOURCE,
    });
    const tarball = join(folder, packed.stdout.trim().split('\n').at(-1) ?? '');
    await run('npm', [
      'install',
      '--global',
      '--prefix',
      folder,
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      tarball,
    ]);
    program = join(folder, 'bin', 'ws-gateway');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('installs a command that says its version and checks a configuration', async () => {
    const env = { PATH: process.env.PATH };
    assert.match((await run(program, ['--version'], { env })).stdout, /^\d+\.\d+\.\d+\n$/);
    const failed = await run(program, ['check'], { env: { ...env, PORT: 'x' } }).then(
      () => undefined,
      (error: { code: number; stderr: string }) => error,
    );
    for (const name of ['routes', 'settings'])
      await access(join(folder, 'lib/node_modules/ws-gateway/docs', `${name}.schema.json`));
    assert.equal(failed?.code, 1);
    assert.match(failed?.stderr ?? '', /^PORT: "x" is not allowed/);
  });

  it('comes with all that `dev` needs', async () => {
    const port = await freePort();
    const dev = startChild(program, ['dev', '--port', String(port)], { env: { PATH: process.env.PATH } });
    try {
      await eventually(() => dev.stdout.includes('Ctrl-C ends it') || !dev.alive, 30_000);
      assert.equal(dev.stderr, '');
      const page = await fetch(`http://127.0.0.1:${port}/dev`);
      assert.equal(page.status, 200);
      const ui = await fetch(`http://127.0.0.1:${port}/admin/ui`);
      assert.equal(ui.status, 200);
    } finally {
      await dev.stop();
    }
  });
});
