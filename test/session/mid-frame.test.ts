import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { OPCODE } from '../support/protocols/frames.js';
import { Front, Inbox } from './front.js';
import { codes, down, up, write } from './wire.js';

const IDLE_MS = 8000;
const config = { idleTimeoutMs: IDLE_MS };

/** A little of a frame, again and again, for longer than the idle timeout. */
async function drip(front: Front, socket: Socket, frame: Buffer): Promise<void> {
  for (let step = 0; step < 6; step++) {
    await write(socket, frame.subarray(step * 100, (step + 1) * 100));
    await front.bench.settleAndPass(IDLE_MS / 4);
  }
}

describe('a frame that takes longer than the idle timeout', () => {
  it('of the upstream: the client, who cannot be asked for a pong meanwhile, is not taken for silent', async (t) => {
    const front = await Front.start(t, { config });
    const { session, client, upstream } = await front.open();
    const inbox = new Inbox(client);
    const frame = down(OPCODE.binary, Buffer.alloc(1000));
    await drip(front, upstream, frame);
    assert.equal(session.state, 'open');
    upstream.write(frame.subarray(600));
    await eventually(() => inbox.length >= frame.length);
    client.destroy();
    await front.bench.quiet();
  });

  for (const renew of [false, true])
    it(`of the client: nor is its upstream, nor itself, ${renew ? 'whole messages' : 'frames'} passing`, async (t) => {
      const front = await Front.start(t, { config, route: { renew } });
      const { session, client, upstream } = await front.open();
      const inbox = new Inbox(upstream);
      const frame = up(OPCODE.binary, Buffer.alloc(1000));
      // Where the frame is gathered first, the upstream can be asked, and answers.
      if (renew) upstream.on('data', () => upstream.write(down(OPCODE.pong)));
      await drip(front, client, frame);
      assert.equal(session.state, 'open');
      client.write(frame.subarray(600));
      await eventually(() => inbox.length >= frame.length);
      client.destroy();
      await front.bench.quiet();
    });

  it('and stops in its middle: its sender is silent', async (t) => {
    const front = await Front.start(t, { config });
    const { session, client, upstream } = await front.open();
    const inbox = new Inbox(client);
    await write(upstream, down(OPCODE.binary, Buffer.alloc(1000)).subarray(0, 100));
    await eventually(() => inbox.length === 100);
    for (let step = 0; step < 6 && session.state === 'open'; step++)
      await front.bench.settleAndPass(IDLE_MS / 4);
    assert.equal(session.state, 'closing');
    assert.equal((await front.bench.scrape()).sum('ws_session_closed_total', { reason: 'upstream_idle' }), 1);
    client.destroy();
    upstream.destroy();
    await front.bench.quiet();
    assert.deepEqual(codes(inbox), []);
  });
});
