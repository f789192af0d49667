import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startChild } from '../../support/child-process.js';
import { breakOff } from '../../support/clients/broken-off.js';
import { http } from '../../support/clients/http.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';

const folder = (name: string) => fileURLToPath(new URL(`../../../examples/${name}/`, import.meta.url));

/** A network of this run's own in 127.0.0.0/8, so that the fixed ports of the examples are free there. */
const network = () => `127.${randomInt(64, 255)}.${randomInt(0, 256)}`;

async function run(name: string, env: Readonly<Record<string, string>>): Promise<string> {
  const options = { env: { ...process.env, ...env, PORT: String(await freePort()) } };
  return (await promisify(execFile)(`${folder(name)}run`, ['--once'], options)).stdout;
}

describe('the examples', { timeout: 120_000 }, () => {
  it('desktops: everybody comes to his own, by each of its ports, and nobody to another’s', async () => {
    const stdout = await run('desktops', { API: `127.0.0.1:${await freePort()}`, DESKTOPS: network() });
    assert.match(stdout, /"service":"terminals","user":"bob"/);
    assert.match(stdout, /^Everything went as it should\.$/m);
  });

  for (const name of ['desktops', 'gatekeeper', 'workspaces'])
    it(`${name}: says how it is run, and starts nothing that it was not asked for`, async () => {
      const help = await promisify(execFile)(`${folder(name)}run`, ['--help']);
      assert.equal(help.stdout, 'usage: ./run [--once]\n');
      await assert.rejects(promisify(execFile)(`${folder(name)}run`, ['--onec'], { timeout: 60_000 }), {
        code: 2,
        stderr: 'unknown option --onec; usage: ./run [--once]\n',
      });
    });

  it('desktops: its routes are those of the services, and its page names them all', () => {
    const [routes, services, page] = ['routes.yaml', 'services.mjs', 'README.md'].map((name) =>
      readFileSync(folder('desktops') + name, 'utf8'),
    );
    const ports = [...(services ?? '').matchAll(/^ {2}(\w+): (\d+),$/gm)];
    assert.equal(ports.length, 11);
    for (const [, service, port] of ports) {
      assert.match(routes ?? '', new RegExp(`/${service}\\b[^/]*"?(?:ws|http)://\\{desktop\\}:${port}/`));
      assert.match(page ?? '', new RegExp(`\`/${service}\`[^\n]*${port}`));
    }
  });

  it('workspaces: browsers are paired on their way to the first page', async () => {
    const own = network();
    const stdout = await run('workspaces', {
      PROXY_PORT: String(await freePort()),
      WORKSPACES: `${own}.1`,
      PROXY: `${own}.2`,
    });
    assert.match(stdout, /"workspace":"ws-alice","user":"alice"/);
    assert.match(stdout, /^Everything went as it should\.$/m);
  });

  for (const [name, port] of [
    ['desktops', 29_781],
    ['workspaces', 3001],
  ] as const)
    it(`${name}: its services outlive a client that breaks off in the middle of its body`, async () => {
      const own = network();
      const state = mkdtempSync(join(tmpdir(), 'example-'));
      const addresses = { DESKTOPS: own, WORKSPACES: `${own}.1`, PROXY: `${own}.2` };
      const ports = { API: `127.0.0.1:${await freePort()}`, PROXY_PORT: String(await freePort()) };
      const services = startChild(process.execPath, [`${folder(name)}services.mjs`], {
        env: { ...addresses, ...ports, STATE: state, KEYS: state },
      });
      try {
        const asked = () => http(`http://${own}.1:${port}/`);
        await eventually(asked);
        await breakOff(port, `${own}.1`, '/');
        assert.ok((await asked()).status > 0);
      } finally {
        await services.stop();
        rmSync(state, { recursive: true });
      }
    });
});
