import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startChild } from '../support/child-process.js';
import { eventually, within } from '../support/eventually.js';
import { accepts, freePort } from '../support/free-port.js';
import { startGateway } from '../support/gateway/gateway.js';
import { COMPOSE_TEXT, composeFile, REFERENCE } from './compose-file.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/docker_run.sh', import.meta.url));
const ROUTES = 'deploy/compose/gateway/routes.yaml';

describe('scripts/docker_run.sh', () => {
  let directory: string;
  let secrets: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'docker-run-'));
    secrets = join(directory, 'secrets');
    // In place of docker: it writes down what it was asked.
    await writeFile(join(directory, 'docker'), `#!/bin/sh\necho "$*" >>${directory}/asked\n`);
    await chmod(join(directory, 'docker'), 0o755);
  });
  after(() => rm(directory, { recursive: true, force: true }));

  function run(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
    const path = `${directory}:${process.env.PATH}`;
    const { status, stdout, stderr } = spawnSync(SCRIPT, args, {
      encoding: 'utf8',
      env: { PATH: path, SECRETS_DIR: secrets, ...env },
    });
    return { status, stdout, stderr };
  }
  const asked = async () => (await readFile(join(directory, 'asked'), 'utf8')).trim().split('\n');
  const values = async () => {
    const lines = (await readFile(join(secrets, 'env'), 'utf8')).trim().split('\n');
    return Object.fromEntries(lines.map((line) => line.split('=') as [string, string]));
  };

  it('makes no token before there is a key, and says how it is used', () => {
    assert.deepEqual(run(['token']), {
      status: 1,
      stdout: '',
      stderr: 'start it first: scripts/docker_run.sh\n',
    });
    assert.match(run(['--help']).stdout, /^Builds the image and starts compose\.yaml/);
    assert.equal(run(['--start']).status, 1);
  });

  it('makes every value that compose.yaml asks for, for nobody else to read, and builds and starts', async () => {
    const { status, stderr } = run();
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.deepEqual(await asked(), [`compose --env-file ${secrets}/env up --build --detach --wait`]);
    const wanted = [...COMPOSE_TEXT.matchAll(REFERENCE)].filter(([, , kind]) => kind === '?');
    const made = await values();
    assert.deepEqual(new Set(Object.keys(made)), new Set(wanted.map(([, name]) => name)));
    for (const [name, value] of Object.entries(made)) {
      if (name !== 'JWT_PUBLIC_KEY') assert.match(value, /^[0-9a-f]{48}$/, name);
    }
    assert.equal(new Set(Object.values(made)).size, Object.keys(made).length, 'no two are the same');
    for (const file of await readdir(secrets)) {
      const { mode } = await stat(join(secrets, file));
      assert.equal(mode & 0o077, file === 'jwt-public.pem' ? 0o044 : 0, file);
    }
  });

  it('keeps them when it is run again, and passes other commands on', async () => {
    const made = await values();
    assert.equal(run().status, 0);
    assert.equal(run(['down', '-v']).status, 0);
    assert.deepEqual(await values(), made);
    assert.equal((await asked()).at(-1), `compose --env-file ${secrets}/env down -v`);
  });

  it('refuses what would not stay within its quotes in a token', () => {
    for (const name of ['a"b', 'a b', '', '$(id)', 'a,b']) assert.equal(run(['token', name]).status, 1, name);
  });

  it('prints lines that work: a token that the gateway takes, a message through it and the broker', async () => {
    const brokerPort = await freePort();
    const configuration = await readFile('deploy/compose/mosquitto.conf', 'utf8');
    const file = join(directory, 'mosquitto.conf');
    const user = process.getuid?.() === 0 ? 'user root\n' : '';
    const elsewhere = configuration
      .replace('listener 1883', `listener ${await freePort()} 127.0.0.1`)
      .replace('listener 9001', `listener ${brokerPort} 127.0.0.1`);
    await writeFile(file, user + elsewhere);
    const path = `${process.env.PATH}:/usr/sbin`;
    const broker = startChild('mosquitto', ['-c', file], { env: { PATH: path } });
    const { environment = {} } = composeFile(await values()).services.gateway;
    const gateway = await startGateway({
      routes: (await readFile(ROUTES, 'utf8')).replace('mosquitto:9001', `127.0.0.1:${brokerPort}`),
      env: {
        ...environment,
        JWT_CACHE_STORE: undefined,
        POSTGRES_DSN: undefined,
        REDIS_URL: undefined,
        JWT_PUBLIC_KEY_FILE: (await values()).JWT_PUBLIC_KEY,
      },
    });
    try {
      await eventually(() => accepts(brokerPort));
      const { stdout } = run([], { GATEWAY_PORT: String(gateway.port) });
      const TOKEN = run(['token', 'alice', 'device', 'display']).stdout.trim();
      const [client] = /^ {2}node -e .*$/m.exec(stdout) ?? [];
      const [sessions] = /^ {2}curl .*$/m.exec(stdout) ?? [];
      assert.ok(client !== undefined && sessions !== undefined, stdout);
      const shell = async (line: string) => {
        const child = startChild('sh', ['-c', line], { env: { PATH: process.env.PATH, TOKEN } });
        assert.deepEqual(await within(child.exited, line), { code: 0, signal: null }, child.stderr);
        return child.stdout;
      };
      assert.equal(await shell(client), 'hello it works\n');
      assert.deepEqual(JSON.parse(await shell(sessions)).sessions, []);
    } finally {
      await gateway.stop();
      await broker.stop();
    }
  });
});
