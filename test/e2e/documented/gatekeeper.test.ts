import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseEnv, promisify } from 'node:util';
import { parse } from 'yaml';
import { loadConfiguration } from '../../../internal/config/environment/environment.js';
import { startChild } from '../../support/child-process.js';
import { breakOff } from '../../support/clients/broken-off.js';
import { http } from '../../support/clients/http.js';
import { eventually } from '../../support/eventually.js';
import { accepts, freePort } from '../../support/free-port.js';

const FOLDER = fileURLToPath(new URL('../../../examples/gatekeeper/', import.meta.url));

test('its composition mounts what the gateway reads', () => {
  const { services } = parse(readFileSync(`${FOLDER}compose.yaml`, 'utf8'));
  const [mount = ''] = services.gateway.volumes;
  assert.ok(services.gateway.environment.ROUTE_FILE.startsWith(`${mount.split(':')[1]}/`));
  // On the gateway's network, so that the addresses in routes.yaml are those of both ways to run it.
  assert.equal(services.services.network_mode, 'service:gateway');
  const variables: Record<string, string | undefined> = parseEnv(
    readFileSync(`${FOLDER}gateway.env`, 'utf8'),
  );
  const { REDIS_URL } = services.gateway.environment;
  const read = loadConfiguration({ ...variables, REDIS_URL, ROUTE_FILE: `${FOLDER}routes.yaml` });
  assert.deepEqual('problems' in read ? read.problems : [], []);
});

test('the gatekeeper example goes through its seven steps', { timeout: 60_000 }, async () => {
  const env = { ...process.env, PORT: String(await freePort()), REDIS_PORT: String(await freePort()) };
  const { stdout } = await promisify(execFile)(`${FOLDER}run`, ['--once'], { env });
  assert.match(stdout, /HTTP 200 {2}\{"id":"alice","roles":"customer"\}/);
  // Behind it the gateway may still say that its Redis is gone.
  assert.match(stdout, /^Everything went as it should\.$/m);
});

test('its services answer 400 to what is no JSON, and outlive a client that breaks off', async () => {
  const services = startChild(process.execPath, [`${FOLDER}services.mjs`]);
  try {
    await eventually(() => accepts(9003));
    const login = { method: 'POST', body: 'x' };
    assert.equal((await http('http://127.0.0.1:9000/login', login)).status, 400);
    await breakOff(9000, '127.0.0.1', '/login');
    assert.equal((await http('http://127.0.0.1:9000/jwks')).status, 200);
  } finally {
    await services.stop();
  }
});
