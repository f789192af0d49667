/** Run by scripts/test-image: these look into the root it made of the image. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeCertificate } from '../support/certificate.js';
import { GATEWAY_COMMAND, startGateway } from '../support/gateway/gateway.js';

interface ImageConfiguration {
  readonly User: string;
  readonly Entrypoint: readonly string[];
  readonly StopSignal: string;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

const ROOT = process.env.TEST_IMAGE_ROOT ?? assert.fail('run by scripts/test-image');
const FILE = process.env.TEST_IMAGE_JSON ?? assert.fail('run by scripts/test-image');
const IMAGE = (JSON.parse(await readFile(FILE, 'utf8')) as { Docker: { config: ImageConfiguration } }).Docker
  .config;
const PUBLIC_ROUTE = [{ prefix: '/', upstream: 'ws://127.0.0.1:1', auth: 'public' }];

/** Runs a command where and as the gateway runs. */
function inside(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const [program = '', ...args] = [...GATEWAY_COMMAND.slice(0, -IMAGE.Entrypoint.length), ...command];
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
  });
  return { status, output: stdout + stderr };
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
}

test('one native binary is left, and it is that of this platform', async () => {
  const left = (await filesBelow(join(ROOT, 'app'))).filter((file) => file.endsWith('.node'));
  const abi = inside(['node', '-p', 'process.versions.modules']).output.trim();
  assert.deepEqual(left, [
    join(ROOT, 'app/node_modules/uWebSockets.js', `uws_${process.platform}_${process.arch}_${abi}.node`),
  ]);
});

test('packages are those of production, with their licences, and there is nothing to install more with', async () => {
  const folders = await readdir(join(ROOT, 'app/node_modules'));
  const { dependencies, devDependencies } = JSON.parse(await readFile('package.json', 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  const packages = (of: Record<string, string> = {}) => Object.keys(of).map((name) => name.split('/')[0]);
  for (const name of packages(dependencies)) assert.ok(folders.includes(String(name)), name);
  for (const name of ['typescript', 'tsx', 'oidc-provider', 'knip']) {
    assert.ok(packages(devDependencies).includes(name));
    assert.ok(!folders.includes(name), name);
  }
  assert.ok((await lstat(join(ROOT, 'app/node_modules/uWebSockets.js/LICENSE'))).isFile());
  for (const name of ['npm', 'npx', 'corepack', 'yarn']) {
    assert.notEqual(inside([name, '--version']).status, 0, name);
  }
});

test('no file of the gateway belongs to its user or can be written by it', async () => {
  const [uid] = IMAGE.User.split(':').map(Number);
  for (const file of await filesBelow(join(ROOT, 'app'))) {
    const stat = await lstat(file);
    assert.notEqual(stat.uid, uid, file);
    assert.ok(stat.isSymbolicLink() || (stat.mode & 0o022) === 0, file);
  }
  for (const place of ['/app/x', '/tmp/x', '/x']) assert.notEqual(inside(['touch', place]).status, 0, place);
});

test('the gateway runs as the image’s user, without a way to more rights', async () => {
  const gateway = await startGateway({ routes: PUBLIC_ROUTE });
  try {
    const status = await readFile(`/proc/${gateway.pid}/status`, 'utf8');
    const line = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1];
    const [uid, gid] = IMAGE.User.split(':');
    assert.equal(line('Uid'), [uid, uid, uid, uid].join('\t'));
    assert.equal(line('Gid'), [gid, gid, gid, gid].join('\t'));
    assert.equal(line('CapEff'), '0'.repeat(16));
    assert.equal(line('NoNewPrivs'), '1');
  } finally {
    await gateway.stop();
  }
});

for (const tls of [false, true]) {
  test(`the health check follows the gateway${tls ? ' with TLS' : ''}: 0 while it answers, 1 when it is gone`, async () => {
    const certificate = tls ? await makeCertificate('127.0.0.1') : undefined;
    const files = certificate && { TLS_CERT_FILE: certificate.certFile, TLS_KEY_FILE: certificate.keyFile };
    const [kind, ...check] = IMAGE.Healthcheck.Test;
    assert.equal(kind, 'CMD');
    const gateway = await startGateway({ routes: PUBLIC_ROUTE, env: { ...files }, waitFor: 'listening' });
    const env = { HOST: '0.0.0.0', PORT: String(gateway.port), ...files };
    try {
      assert.deepEqual(inside(check, env), { status: 0, output: '' });
    } finally {
      const stop = IMAGE.StopSignal as NodeJS.Signals;
      assert.deepEqual(await gateway.stop(stop), { code: 0, signal: null });
      await certificate?.remove();
    }
    assert.equal(inside(check, env).status, 1);
  });
}
