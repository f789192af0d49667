import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PingAllowance } from '../../internal/session/ping-allowance.js';
import { eventually } from '../support/eventually.js';
import { startEcho } from '../support/upstreams/upstream.js';
import { bench } from './parts.js';

test('fifty pings a tick are signs of life, the next is one too many', () => {
  const pings = new PingAllowance();
  for (const tick of [1000, 1200, 1400]) {
    for (let count = 0; count < 50; count++) assert.ok(pings.take(tick));
    assert.ok(!pings.take(tick));
    assert.ok(!pings.take(tick));
  }
});

test('a flood of pings ends the session, whether it is open or has yet to begin', async (t) => {
  const upstream = await startEcho();
  t.after(() => upstream.close());
  const parts = await bench(t, { routes: [{ upstreams: [upstream.url] }] });
  const silent = parts.connect();
  const open = parts.connect({ token: parts.issuer.sign() });
  await eventually(() => open.session?.state === 'open');
  for (const client of [silent, open]) {
    for (let count = 0; count < 60 && client.told === undefined; count++) client.session?.onClientAlive();
    assert.deepEqual(client.told, { code: 1008, reason: 'Rate limit exceeded' });
  }
  await parts.quiet();
});

test('a client that pings and takes no pong is dropped after the write timeout', async (t) => {
  const upstream = await startEcho();
  t.after(() => upstream.close());
  const parts = await bench(t, {
    routes: [{ upstreams: [upstream.url] }],
    config: { writeTimeoutMs: 1000 },
  });
  const client = parts.connect({ token: parts.issuer.sign() });
  await eventually(() => client.session?.state === 'open');
  await parts.settleAndPass(0);
  // The answer to the ping, which nobody but uWebSockets.js has sent.
  client.buffered = 127;
  client.session?.onClientAlive();
  await parts.settleAndPass(1500);
  assert.ok(client.dropped);
  await parts.quiet();
});

test('a client that goes on pinging while its last bytes wait for it is dropped', async (t) => {
  const parts = await bench(t, { routes: [{ upstreams: ['ws://127.0.0.1:1/'] }] });
  const client = parts.connect();
  client.buffered = 1;
  client.session?.close('shutdown');
  assert.equal(client.session?.state, 'closing');
  for (let count = 0; count < 60 && !client.dropped; count++) client.session?.onClientAlive();
  assert.ok(client.dropped);
  await parts.quiet();
});
