import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startChild } from '../../support/child-process.js';
import { within } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';

const SCRIPT = fileURLToPath(new URL('../../../scripts/first-message', import.meta.url));

test('a message of one\u2019s own comes back from a built clone, and it is said how long that took', async (t) => {
  const env = { PATH: process.env.PATH, PORT: String(await freePort()) };
  const child = startChild(SCRIPT, [], { env, group: true });
  t.after(() => child.kill('SIGKILL'));
  const { code } = await within(child.exited, 'end of the script', 90_000);
  assert.equal(code, 0, child.stderr);
  const said = child.stdout.trim().split('\n');
  assert.deepEqual(
    said.map((line) => line.replace(/^[\d.]+ s: /, '').replace(/, http.*/, '')),
    ['the gateway is there', 'a token', 'a message of my own'],
  );
  const seconds = said.map((line) => Number.parseFloat(line));
  assert.deepEqual(
    [...seconds].sort((a, b) => a - b),
    seconds,
  );
});
