import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../support/eventually.js';
import { startRawUpstream, switching } from '../../support/upstreams/raw-upstream.js';
import { type Bench, bench, open, withUpstream } from '../parts.js';
import type { StandInClient } from '../stand-in-client.js';

test('a client that does not answer the close frame is dropped at the control timeout', async (t) => {
  const parts = await withUpstream(t);
  const client = await open(parts);
  client.stubborn = true;
  client.session?.close('shutdown');
  assert.deepEqual(client.told, { code: 1001, reason: 'Server shutting down' });
  parts.pass(500);
  assert.equal(client.dropped, false);
  parts.pass(800);
  assert.equal(client.dropped, true);
  await parts.quiet();
});

test('a close frame waits for what is before it, not longer than the control timeout', async (t) => {
  const parts = await withUpstream(t);
  const [drains, stuck] = [await open(parts), await open(parts)];
  for (const client of [drains, stuck]) {
    client.buffered = 100;
    client.session?.close('closedByAdmin');
    assert.ok(!client.told);
  }
  drains.buffered = 50;
  drains.session?.onClientDrain();
  assert.ok(!drains.told);
  drains.buffered = 0;
  drains.session?.onClientDrain();
  assert.deepEqual(drains.told, { code: 1008, reason: 'Closed by administrator' });
  parts.pass(1300);
  assert.deepEqual([stuck.told, stuck.dropped], [undefined, true]);
  await parts.quiet();
});

for (const writeTimeoutMs of [10_000, 0])
  test(`what an upstream said before it closed is still the client\u2019s (write timeout ${writeTimeoutMs} ms)`, async (t) => {
    const parts = await withUpstream(t, { config: { writeTimeoutMs } });
    const client = await open(parts);
    client.buffered = 1000;
    (await parts.upstream.session()).socket.close(4000, 'bye');
    await eventually(() => client.session?.state === 'closing');
    parts.pass(2000);
    assert.equal(client.dropped, false, 'longer than the control timeout');
    client.buffered = 0;
    client.session?.onClientDrain();
    assert.deepEqual(client.told, { code: 4000, reason: 'bye' });
    await parts.quiet();
  });

for (const [what, end] of [
  ['is revoked', (parts, client) => parts.revocations.revoke({ sub: 'ann', jti: '1' }).then(() => client)],
  ['is closed by an administrator', async (_, client) => client.session?.close('closedByAdmin')],
] satisfies [string, (parts: Bench, client: StandInClient) => Promise<unknown>][])
  test(`T-03: a session whose client is still taking what its upstream said ends at once when it ${what}`, async (t) => {
    const parts = await withUpstream(t);
    const client = await open(parts, parts.issuer.sign({ sub: 'ann', jti: '1' }));
    client.buffered = 1000;
    (await parts.upstream.session()).socket.close(4000, 'bye');
    await eventually(() => client.session?.lingers === true);
    await end(parts, client);
    assert.deepEqual([client.dropped, client.told], [true, undefined]);
    await parts.quiet();
    const metrics = await parts.scrape();
    assert.equal(metrics.sum('ws_session_closed_total'), 1);
    assert.equal(metrics.sum('ws_session_closed_total', { reason: 'upstream_closed' }), 1);
  });

test('T-03: likewise when its token expires', async (t) => {
  const parts = await withUpstream(t);
  const exp = Math.floor(Date.now() / 1000) + 3;
  const client = await open(parts, parts.issuer.sign({ exp }));
  client.buffered = 1000;
  (await parts.upstream.session()).socket.close(4000, 'bye');
  await eventually(() => client.session?.lingers === true);
  // It takes some: a later look, no later end.
  client.session?.onClientDrain();
  parts.pass(9000);
  assert.equal(client.dropped, true);
  await parts.quiet();
});

test('T-03: and five write timeouts after the end of its upstream, however little it takes at a time', async (t) => {
  const parts = await withUpstream(t, { config: { writeTimeoutMs: 100 } });
  const client = await open(parts);
  client.buffered = 1_000_000;
  (await parts.upstream.session()).socket.close(4000, 'bye');
  await eventually(() => client.session?.lingers === true);
  const endedMs = performance.now();
  await eventually(() => {
    if (!client.dropped) client.session?.onClientDrain();
    parts.pass(0);
    return client.dropped;
  });
  assert.ok(performance.now() - endedMs >= 300);
  await parts.quiet();
});

test('a close frame on its way is not cut off by a second revocation', async (t) => {
  const parts = await withUpstream(t);
  const client = await open(parts, parts.issuer.sign({ sub: 'ann', jti: '1' }));
  client.stubborn = true;
  client.buffered = 10;
  await parts.revocations.revoke({ sub: 'ann', jti: '1' });
  await parts.revocations.revoke({ sub: 'ann', jti: '1' });
  assert.equal(client.dropped, false);
  client.buffered = 0;
  client.session?.onClientDrain();
  assert.deepEqual(client.told, { code: 1008, reason: 'Token revoked' });
  client.leave(1008);
  await parts.quiet();
});

test('the same when it speaks and closes in one breath with its 101', async (t) => {
  const frames = Buffer.concat([
    Buffer.from([0x81, 2]),
    Buffer.from('hi'),
    Buffer.from([0x88, 2, 0x0f, 0xa0]),
  ]);
  const hasty = await startRawUpstream((socket, head) =>
    socket.write(Buffer.concat([Buffer.from(switching(head)), frames])),
  );
  t.after(() => hasty.close());
  const parts = await bench(t, { routes: [{ upstreams: [hasty.url] }] });
  const client = parts.connect();
  client.buffered = 1000;
  client.say(parts.issuer.sign());
  await eventually(() => client.session?.state === 'closing');
  parts.pass(2000);
  assert.deepEqual([client.texts, client.dropped], [['hi'], false]);
  client.buffered = 0;
  client.session?.onClientDrain();
  assert.deepEqual(client.told, { code: 4000, reason: '' });
  await parts.quiet();
});
