import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startChild } from '../../support/child-process.js';
import { within } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

test('the lines of docs/quick-start.md do what it says, one after the other', async (t) => {
  const page = await readFile(join(ROOT, 'docs/quick-start.md'), 'utf8');
  let script = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, lines]) => lines).join('\n');
  for (const port of ['8080', '8081', '8082', '9000', '6379'])
    script = script.replaceAll(port, String(await freePort()));
  const folder = await mkdtemp(join(tmpdir(), 'quick-start-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const name of ['dist', 'node_modules']) await symlink(join(ROOT, name), join(folder, name));

  const [gatewayPort] = /localhost:(\d+)/.exec(script) ?? [];
  assert.ok(gatewayPort);
  // The first gateway listens on the default port, which may be taken here.
  const env = { PATH: process.env.PATH, HOME: folder, PORT: gatewayPort.split(':')[1] };
  const endAll = "trap 'kill $(jobs -p) 2>/dev/null' EXIT\n";
  const child = startChild('bash', ['-euc', endAll + script], { cwd: folder, env, group: true });
  t.after(() => child.kill('SIGKILL'));
  const { code } = await within(child.exited, 'end of the quick start', 90_000);
  assert.equal(code, 0, child.stdout + child.stderr);
  const said = child.stdout.split('\n');
  const hello = 'hello Alice, you are alice with roles clerk';
  assert.deepEqual(
    said.filter((line) => /^(?:hello|it works|closed|configuration|verdict)/.test(line)),
    [
      'configuration ok',
      ...[hello, 'it works', 'closed: 1005 '],
      'verdict       let in',
      ...[hello, 'it works', 'closed: 1005 '],
      ...[hello, 'it works', 'closed: 1005 '],
      'closed: 1008 Token revoked',
    ],
    child.stdout + child.stderr,
  );
  assert.ok(said.some((line) => line.includes('"propagated":true')));
});
