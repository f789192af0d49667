import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/eventually.js';
import { ended, open, withUpstream } from './parts.js';

test('clients that are never let in leave few lines, however many they are, and a count of the others', async (t) => {
  const parts = await withUpstream(t);
  const lines = () =>
    parts.log.lines
      .map((line) => JSON.parse(line) as { msg?: string; reason?: string; unlogged?: number })
      .filter(({ msg }) => msg === 'client denied');
  const token = parts.issuer.sign({}, { expiresInSeconds: -60 });
  const flood = 500;
  const startMs = performance.now();
  for (let at = 0; at < flood; at++) parts.connect({ token });
  await parts.quiet();
  const seconds = (performance.now() - startMs) / 1000;
  const written = lines().length;
  assert.ok(written >= 50 && written <= 51 + seconds * 10, `${written} lines in ${seconds} s`);
  let came = flood;
  await eventually(async () => {
    came++;
    await ended(parts.connect({ token }));
    assert.ok(lines().length > written);
  });
  const unlogged = lines().reduce((sum, line) => sum + (line.unlogged ?? 0), 0);
  assert.equal(lines().length + unlogged, came, 'each is written or counted');
  assert.equal((await parts.scrape()).sum('ws_auth_failures_total'), came);

  const client = await open(parts);
  client.leave(1001);
  await parts.quiet();
  const [last] = parts.log.lines.slice(-1);
  assert.match(String(last), /"sub":.*"msg":"session closed"/, 'who was let in leaves a line all the same');
  assert.doesNotMatch(String(last), /unlogged/);
});
