import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../../support/child-process.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually, within } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const SOURCE = fileURLToPath(new URL('../../..', import.meta.url));

describe('a gateway that npm start started', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let folder: string;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    folder = await mkdtemp(join(tmpdir(), 'npm-start-'));
    const routes = [{ prefix: '/echo', upstream: echo.url }];
    await writeFile(join(folder, 'routes.yaml'), JSON.stringify(routes));
  });
  after(async () => {
    await Promise.all([echo.close(), issuer.close(), rm(folder, { recursive: true })]);
  });

  /** npm in a process group of its own, and a session through the gateway. */
  async function start(t: TestContext): Promise<{ npm: Child; peer: Peer }> {
    const port = await freePort();
    const npm = startChild('npm', ['start', '--silent'], {
      cwd: SOURCE,
      group: true,
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        HOST: '127.0.0.1',
        PORT: String(port),
        ROUTE_FILE: join(folder, 'routes.yaml'),
        JWKS_URL: issuer.jwksUrl,
        GRACEFUL_DRAIN_TIMEOUT_SECONDS: '2',
      },
    });
    t.after(() => npm.stop('SIGKILL'));
    await eventually(() => npm.stdout.includes('"listening"') || !npm.alive, 30_000);
    return { npm, peer: await Peer.open(`ws://127.0.0.1:${port}/echo`, { token: issuer.sign() }) };
  }

  async function drains({ npm, peer }: { npm: Child; peer: Peer }): Promise<void> {
    assert.deepEqual(await within(peer.closed, 'close'), { code: 1001, reason: 'Server shutting down' });
    assert.deepEqual(await within(npm.exited, 'exit of npm'), { code: 0, signal: null });
    assert.match(npm.stdout, /"stopped"/);
  }

  it('drains when npm is told to end', async (t) => {
    const started = await start(t);
    process.kill(started.npm.pid, 'SIGTERM');
    await drains(started);
  });

  it('takes a Ctrl-C, which it hears of the terminal and of npm, for one signal', async (t) => {
    const started = await start(t);
    started.npm.kill('SIGINT');
    await drains(started);
  });
});
