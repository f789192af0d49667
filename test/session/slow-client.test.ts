import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SendResult } from '../../internal/session/client-socket.js';
import { eventually } from '../support/eventually.js';
import { ended, open, withUpstream } from './parts.js';

test('a client that takes nothing for the write timeout is dropped', async (t) => {
  const parts = await withUpstream(t);
  const client = await open(parts);
  client.result = SendResult.BUFFERED;
  client.buffered = 10;
  client.say('x');
  await eventually(() => client.received.length === 1);
  parts.pass(5000);
  assert.equal(client.dropped, false);
  parts.pass(8000);
  parts.pass(3000);
  assert.equal(client.dropped, true);
  assert.equal((await (await parts.upstream.session()).ended()).code, 1001);
  assert.equal((await parts.scrape()).sum('ws_session_closed_total', { reason: 'client_write_timeout' }), 1);
});

test('a message that a socket drops ends the session: a stream with a hole is corrupt', async (t) => {
  const parts = await withUpstream(t);
  const client = await open(parts);
  client.result = SendResult.LOST;
  client.say('x');
  await eventually(() => client.dropped);
  await parts.quiet();
});

test('a slow client stops the reading from its upstream until it has caught up', async (t) => {
  const parts = await withUpstream(t, { config: { maxBufferedBytes: 1000 } }, {});
  const client = await open(parts);
  const upstream = await parts.upstream.session();
  client.result = SendResult.BUFFERED;
  client.buffered = 1001;
  upstream.send('first');
  await eventually(() => client.received.length === 1);
  const chunk = Buffer.alloc(1_048_576, 'x');
  for (let i = 0; i < 32; i++) upstream.send(chunk);
  await eventually(() => upstream.socket.bufferedAmount > 0);
  const bytes = () => client.received.reduce((sum, { text }) => sum + text.length, 0);
  const held = bytes();
  assert.ok(held < 8 * 1_048_576, `${held}`);
  assert.equal((await parts.scrape()).sum('ws_backpressure_total', { direction: 'upstream_to_client' }), 1);
  client.buffered = 501;
  client.session?.onClientDrain();
  client.buffered = 500;
  client.result = SendResult.SENT;
  client.session?.onClientDrain();
  await eventually(() => bytes() === 5 + 32 * 1_048_576, 60_000);
});

test('a client that cannot be stopped may have two of the largest messages wait for its upstream, and no more', async (t) => {
  const parts = await withUpstream(t, { config: { maxBufferedBytes: 1000 } }, {});
  const client = await open(parts);
  (await parts.upstream.session()).socket.pause();
  const message = Buffer.alloc(1_048_576);
  let most = 0;
  for (let said = 0; said < 64 && client.told === undefined; said++) {
    client.say(message);
    most = Math.max(most, client.session?.pump?.bufferedBytes().toUpstream ?? 0);
    await nextTurn();
  }
  assert.deepEqual(await ended(client), { code: 1013, reason: 'Upstream too slow' });
  assert.ok(most > message.length, `${most} bytes waited`);
  await parts.quiet();
});
