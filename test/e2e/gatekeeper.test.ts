import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../support/free-port.js';

const RUN = fileURLToPath(new URL('../../examples/gatekeeper/run', import.meta.url));

test('the gatekeeper example goes through its seven steps', { timeout: 60_000 }, async () => {
  const env = { ...process.env, PORT: String(await freePort()), REDIS_PORT: String(await freePort()) };
  const { stdout } = await promisify(execFile)(RUN, ['--once'], { env });
  assert.match(stdout, /HTTP 200 {2}\{"id":"alice","roles":"customer"\}/);
  assert.match(stdout, /Everything went as it should\.\n$/);
});
