import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseEnv, promisify } from 'node:util';
import { startChild } from '../support/child-process.js';
import { http } from '../support/clients/http.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { startIssuer } from '../support/servers/issuer.js';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../../scripts/debian-package', import.meta.url));

describe('the Debian package', () => {
  let folder: string;
  let root: string;
  let file: string;
  const installed = (path: string) => join(root, path);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'debian-'));
    root = join(folder, 'root');
    const { stdout } = await run(SCRIPT, [folder]);
    file = stdout.trim();
    await run('dpkg-deb', ['--extract', file, root]);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('says what it is and needs, and leaves what is in /etc to whom it belongs', async () => {
    const { stdout: fields } = await run('dpkg-deb', ['--field', file]);
    assert.match(fields, /^Package: ws-gateway$/m);
    assert.match(fields, /^Depends: nodejs \(>= 20\.12\)$/m);
    const { stdout: conffiles } = await run('dpkg-deb', ['--info', file, 'conffiles']);
    assert.deepEqual(conffiles.trim().split('\n'), ['/etc/ws-gw/ws-gateway.env', '/etc/ws-gw/routes.yaml']);
    const { stdout: contents } = await run('dpkg-deb', ['--contents', file], { maxBuffer: 64 * 1024 * 1024 });
    assert.match(contents, /^drwxr-xr-x root\/root .* \.\/$/m, 'the root of the host stays as it is');
    assert.doesNotMatch(contents, /node_modules\/(typescript|tsx|@biomejs)\//);
    assert.ok(contents.split('\n').every((line) => line === '' || line.includes(' root/root ')));
    for (const script of ['postinst', 'prerm', 'postrm'])
      await run('sh', ['-n', '-c', (await run('dpkg-deb', ['--info', file, script])).stdout]);
  });

  it('starts what its unit starts, with the settings that it comes with and an issuer', async (t) => {
    const unit = await readFile(installed('usr/lib/systemd/system/ws-gateway.service'), 'utf8');
    const [, program = '', verb = ''] = /^ExecStart=(\S+) (\S+)$/m.exec(unit) ?? [];
    const [, settings = ''] = /^EnvironmentFile=(\S+)$/m.exec(unit) ?? [];
    const given = parseEnv(await readFile(installed(settings), 'utf8')) as Record<string, string>;
    assert.deepEqual(given, { ROUTE_FILE: '/etc/ws-gw/routes.yaml' });
    const issuer = await startIssuer();
    t.after(() => issuer.close());
    const port = await freePort();
    const env = {
      ...{ PATH: process.env.PATH, HOST: '127.0.0.1', PORT: String(port), JWT_EXPECTED_ISSUER: issuer.url },
      ROUTE_FILE: installed(given.ROUTE_FILE ?? ''),
    };
    assert.equal((await run(installed(program), ['check'], { env })).stdout, 'configuration ok\n');
    const service = startChild(installed(program), [verb], { env });
    t.after(() => service.stop());
    await eventually(async () => {
      assert.ok(service.alive, service.stdout + service.stderr);
      assert.equal((await http(`http://127.0.0.1:${port}/readyz`)).status, 200);
    }, 30_000);
    const [, page = ''] = /^Documentation=file:\/\/(\S+)$/m.exec(unit) ?? [];
    assert.match(await readFile(installed(page), 'utf8'), /^# On a host/);
  });
});
