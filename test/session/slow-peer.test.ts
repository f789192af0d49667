import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { closePayload, OPCODE } from '../support/protocols/frames.js';
import { Front, Inbox } from './front.js';
import { codes, down, frames, up, write } from './wire.js';

const MIB = 1_048_576;
/** More of them with `npm run stress`. */
const LARGE_MESSAGES = Number(process.env.STRESS_LARGE_MESSAGES ?? 3);

describe('a slow peer', () => {
  it('as an upstream makes the client wait: 200 MB pass whole, next to nothing of it in the process', async (t) => {
    const front = await Front.start(t);
    const { session, client, upstream } = await front.open();
    const message = up(OPCODE.binary, randomBytes(256 * 1024));
    const total = 800;
    let received = 0;
    let differences = 0;
    let largest = 0;
    upstream.on('data', (bytes) => {
      for (let at = 0; at < bytes.length; ) {
        const offset = (received + at) % message.length;
        const length = Math.min(message.length - offset, bytes.length - at);
        if (bytes.compare(message, offset, offset + length, at, at + length) !== 0) differences++;
        at += length;
      }
      received += bytes.length;
    });
    void (async () => {
      for (let sent = 0; sent < total; sent++) {
        await write(client, message);
        if (sent % 100 !== 50) continue;
        upstream.pause();
        await new Promise((resolve) => setTimeout(resolve, 30));
        largest = Math.max(largest, session.pump?.bufferedBytes().toUpstream ?? 0);
        upstream.resume();
      }
    })();
    upstream.resume();
    await eventually(() => received >= total * message.length, 60_000);
    assert.equal(differences, 0);
    assert.ok(largest <= 2 * 65_536, `${largest} bytes waited`);
    assert.equal(session.state, 'open');
    client.destroy();
    await front.bench.quiet();
  });

  it('as a client makes the upstream wait, and is not taken for silent or stuck while it takes a little', async (t) => {
    const front = await Front.start(t, { config: { writeTimeoutMs: 4000, idleTimeoutMs: 8000 } });
    const { session, client, upstream } = await front.open();
    const message = down(OPCODE.binary, randomBytes(8 * MIB));
    upstream.write(message);
    await eventually(() => (session.pump?.bufferedBytes().toClient ?? 0) > 0);
    assert.ok((session.pump?.bufferedBytes().toClient ?? 0) <= 2 * 65_536);
    await front.bench.settleAndPass(2000);
    assert.equal(session.state, 'open');
    const inbox = new Inbox(client);
    await eventually(() => inbox.length === message.length);
    assert.ok(inbox.bytes.equals(message));
    await front.bench.settleAndPass(2000);
    assert.equal(session.state, 'open');
    client.destroy();
    await front.bench.quiet();
  });

  it('that takes nothing ends the session: 1013 for an upstream, a dropped connection for a client', async (t) => {
    const front = await Front.start(t, { config: { writeTimeoutMs: 4000, idleTimeoutMs: 0 } });
    const one = await front.open();
    const told = new Inbox(one.client);
    one.client.write(Buffer.concat(Array.from({ length: 64 }, () => up(OPCODE.binary, Buffer.alloc(MIB)))));
    await eventually(() => (one.session.pump?.bufferedBytes().toUpstream ?? 0) > 0);
    for (let step = 0; step < 8 && one.session.state === 'open'; step++)
      await front.bench.settleAndPass(1000);
    await eventually(() => codes(told).length === 1);
    assert.deepEqual(codes(told), [1013]);
    one.client.destroy();
    one.upstream.destroy();
    const two = await front.open();
    two.upstream.write(
      Buffer.concat(Array.from({ length: 64 }, () => down(OPCODE.binary, Buffer.alloc(MIB)))),
    );
    await eventually(() => (two.session.pump?.bufferedBytes().toClient ?? 0) > 0);
    for (let step = 0; step < 8 && two.session.state === 'open'; step++)
      await front.bench.settleAndPass(1000);
    await front.bench.quiet();
    const metrics = await front.bench.scrape();
    assert.equal(metrics.sum('ws_session_closed_total', { reason: 'client_write_timeout' }), 1);
    assert.equal(metrics.sum('ws_session_closed_total', { reason: 'upstream_too_slow' }), 1);
    two.upstream.destroy();
  });

  it('bears 143,000 empty messages: what waits of them is their bytes', async (t) => {
    const front = await Front.start(t);
    const { session, client, upstream } = await front.open();
    const stuck = up(OPCODE.binary, Buffer.alloc(MIB));
    client.write(Buffer.concat([stuck, stuck, stuck, stuck, stuck, stuck, stuck, stuck]));
    await eventually(() => (session.pump?.bufferedBytes().toUpstream ?? 0) > 0);
    const empty = up(OPCODE.binary);
    const flood = Buffer.concat(Array.from({ length: 143_000 }, () => empty));
    client.write(flood);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok((session.pump?.bufferedBytes().toUpstream ?? 0) <= 2 * 65_536);
    const inbox = new Inbox(upstream);
    await eventually(() => inbox.length === 8 * stuck.length + flood.length);
    assert.ok(inbox.bytes.subarray(8 * stuck.length).equals(flood));
    client.destroy();
    await front.bench.quiet();
  });

  it('that is healthy has messages of 64 MiB echoed, again and again', async (t) => {
    const front = await Front.start(t, { config: { maxMessageBytes: 64 * MIB } });
    const { session, client, upstream } = await front.open();
    const payload = randomBytes(64 * MIB);
    const sent = up(OPCODE.binary, payload);
    // An echo by bytes: the frame without its mask bit and key, the payload as it came.
    const expected = Buffer.concat([
      sent.subarray(0, 1),
      Buffer.from([127]),
      sent.subarray(2, 10),
      sent.subarray(14),
    ]);
    let seen = 0;
    upstream.on('data', (bytes) => {
      let at = 0;
      let out = bytes;
      // The first read of each frame has its header.
      if (seen % sent.length === 0) {
        upstream.write(Buffer.concat([bytes.subarray(0, 1), Buffer.from([127]), bytes.subarray(2, 10)]));
        at = 14;
        out = bytes.subarray(at);
      }
      seen += bytes.length;
      if (!upstream.write(out)) upstream.pause().once('drain', () => upstream.resume());
    });
    upstream.resume();
    let received = 0;
    let differences = 0;
    client.on('data', (bytes) => {
      const offset = received % expected.length;
      const length = Math.min(bytes.length, expected.length - offset);
      if (bytes.compare(expected, offset, offset + length, 0, length) !== 0) differences++;
      received += bytes.length;
    });
    client.resume();
    for (let turn = 1; turn <= LARGE_MESSAGES; turn++) {
      client.write(sent);
      await eventually(() => received === turn * expected.length, 60_000);
    }
    assert.deepEqual([differences, session.state], [0, 'open']);
    client.destroy();
    await front.bench.quiet();
  });

  it('as a client that has closed makes the upstream wait: what still comes is not gathered for it', async (t) => {
    const front = await Front.start(t);
    const { client, upstream } = await front.open();
    upstream.resume();
    const chunk = down(OPCODE.binary, Buffer.alloc(MIB));
    let takenMiB = 0;
    void (async () => {
      for (; takenMiB < 512 && !upstream.destroyed; takenMiB++) await write(upstream, chunk);
    })();
    client.resume();
    await eventually(() => takenMiB >= 16);
    client.pause();
    client.write(up(OPCODE.close, closePayload(1000)));
    await eventually(() => upstream.destroyed, 60_000);
    assert.ok(takenMiB < 128, `${takenMiB} MiB were taken of the upstream`);
    client.destroy();
    await front.bench.quiet();
  });

  for (const [what, ends] of [
    ['is open', false],
    ['is closing', true],
  ] as const)
    it(`as a client is not stuck while it takes any of a whole message, when its session ${what}`, async (t) => {
      // With `renew` the gateway has to see whole messages.
      const front = await Front.start(t, {
        route: { renew: true },
        config: { writeTimeoutMs: 4000, idleTimeoutMs: 0, maxBufferedBytes: 64 * MIB },
      });
      const { session, client, upstream } = await front.open();
      upstream.write(down(OPCODE.binary, Buffer.alloc(32 * MIB)));
      await eventually(() => (session.pump?.bufferedBytes().toClient ?? 0) > 8 * MIB);
      if (ends) {
        upstream.write(down(OPCODE.close, closePayload(4000)));
        upstream.resume();
        await eventually(() => session.state === 'closing');
      }
      let taken = 0;
      let due = 0;
      let last = Buffer.alloc(0);
      client.on('data', (bytes) => {
        taken += bytes.length;
        last = bytes;
        if (taken >= due) client.pause();
      });
      for (let step = 0; step < 5; step++) {
        // So much that the kernel takes more of what waits.
        due += 4 * MIB;
        client.resume();
        await eventually(() => taken >= due);
        await new Promise((resolve) => setTimeout(resolve, 20));
        await front.bench.settleAndPass(1000);
        assert.equal(client.destroyed, false);
      }
      due = Number.POSITIVE_INFINITY;
      client.resume();
      await eventually(
        () => taken >= 32 * MIB && (!ends || last.readUInt16BE(last.length - 2) === 4000),
        60_000,
      );
      client.destroy();
      upstream.destroy();
      await front.bench.quiet();
    });

  it('as a client has small messages gathered on such a route: each write that waits has a cost of its own', async (t) => {
    const front = await Front.start(t, { route: { renew: true }, config: { maxBufferedBytes: 16 * MIB } });
    const { session, client, upstream } = await front.open();
    upstream.write(down(OPCODE.binary, Buffer.alloc(12 * MIB)));
    await eventually(() => (session.pump?.bufferedBytes().toClient ?? 0) > MIB);
    const small = 100_000;
    const one = down(OPCODE.binary, 'x');
    await write(upstream, Buffer.concat(Array.from({ length: small }, () => one)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const socket = session.pump?.client;
    assert.ok(socket !== undefined && socket.waitingCost() - socket.bufferedBytes() < MIB);
    const inbox = new Inbox(client);
    await eventually(() => inbox.length >= 12 * MIB + small * one.length, 60_000);
    assert.equal(frames(inbox).filter(({ payload }) => payload.length === 1).length, small);
    client.destroy();
    await front.bench.quiet();
  });
});
