import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { closePayload, encodeFrame, type Frame, FrameReader, OPCODE } from '../support/frames.js';
import { Front, Inbox } from './front.js';

const KEY = Buffer.from([0x91, 0x02, 0xe3, 0x74]);
const MIB = 1_048_576;
/** More of them with `npm run stress`. */
const LARGE_MESSAGES = Number(process.env.STRESS_LARGE_MESSAGES ?? 3);

const up = (opcode: number, payload: Buffer | string = '', more: object = {}): Buffer =>
  encodeFrame(opcode, payload, { mask: KEY, ...more });
const down = (opcode: number, payload: Buffer | string = '', more: object = {}): Buffer =>
  encodeFrame(opcode, payload, more);

function frames(inbox: Inbox): Frame[] {
  return new FrameReader().push(inbox.bytes);
}

/** What a peer was told: codes of close frames, nothing else among them. */
function codes(inbox: Inbox): number[] {
  return frames(inbox)
    .filter(({ opcode }) => opcode === OPCODE.close)
    .map(({ payload }) => (payload.length < 2 ? 1005 : payload.readUInt16BE(0)));
}

function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => socket.write(bytes, () => resolve()));
}

describe('frames pass as they came', () => {
  for (const handles of [true, false]) {
    it(`both ways, keys, fragments and cuts included, on ${handles ? 'handles' : 'streams'}`, async (t) => {
      const front = await Front.start(t, { handles });
      const { client, upstream } = await front.open();
      const fromClient = new Inbox(upstream);
      const fromUpstream = new Inbox(client);
      const payloads = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000].map((length) => randomBytes(length));
      const upwards = Buffer.concat(
        payloads.flatMap((payload) => [
          up(OPCODE.binary, payload),
          up(OPCODE.text, payload, { fin: false }),
          up(OPCODE.continuation, '', { fin: false }),
          up(OPCODE.continuation, payload),
        ]),
      );
      const downwards = Buffer.concat(
        payloads.flatMap((payload) => [
          down(OPCODE.text, payload),
          down(OPCODE.binary, payload, { fin: false }),
          down(OPCODE.continuation, payload),
        ]),
      );
      client.write(upwards);
      upstream.write(downwards);
      await eventually(() => fromClient.length >= upwards.length && fromUpstream.length >= downwards.length);
      assert.ok(fromClient.bytes.equals(upwards));
      assert.ok(fromUpstream.bytes.equals(downwards));
      client.destroy();
      await front.bench.quiet();
    });
  }

  it('in one-byte segments, with pings between', async (t) => {
    const front = await Front.start(t);
    const { client, upstream } = await front.open();
    const fromClient = new Inbox(upstream);
    const fromUpstream = new Inbox(client);
    const data = [up(OPCODE.text, 'hello'), up(OPCODE.binary, randomBytes(130))];
    const sent = Buffer.concat([data[0]!, up(OPCODE.ping, 'p'), data[1]!]);
    for (const byte of sent) {
      await write(client, Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    await eventually(() => fromClient.length >= Buffer.concat(data).length && fromUpstream.length >= 3);
    assert.ok(fromClient.bytes.equals(Buffer.concat(data)));
    assert.ok(fromUpstream.bytes.equals(down(OPCODE.pong, 'p')));
    client.destroy();
    await front.bench.quiet();
  });

  it('after the messages that came before the upstream was open, in order, whatever was half there', async (t) => {
    const front = await Front.start(t);
    let answer = () => {};
    let upstream: Socket | undefined;
    const { script } = front.upstreamServer;
    front.upstreamServer.script = (socket, head, rest) => {
      upstream = socket;
      answer = () => script(socket, head, rest);
    };
    // A token in the first message: the gateway's 101 goes out at once, and the dial comes after it.
    const route = front.bench;
    const { session, client } = await front.dial(Buffer.alloc(0), { subprotocols: [] });
    assert.equal(route.sessions.size, 1);
    await eventually(() => upstream !== undefined);
    // On a public route the 101 waits for the dial; what comes early lies in the socket or behind the head.
    const sent = [
      ...Array.from({ length: 20 }, (_, index) => up(OPCODE.text, `early ${index}`)),
      up(OPCODE.binary, 'first half, ', { fin: false }),
      up(OPCODE.continuation, 'second half'),
      up(OPCODE.text, 'late'),
    ];
    const all = Buffer.concat(sent);
    const cut = all.length - sent.at(-1)!.length - 8;
    await write(client, all.subarray(0, cut));
    answer();
    await eventually(() => session.state === 'open');
    const inbox = new Inbox(upstream!);
    client.write(all.subarray(cut));
    const texts = [
      ...Array.from({ length: 20 }, (_, index) => `early ${index}`),
      'first half, second half',
      'late',
    ];
    await eventually(() => frames(inbox).length >= 22);
    const messages: string[] = [];
    for (const { opcode, payload } of frames(inbox)) {
      if (opcode === OPCODE.continuation) messages.push(messages.pop() + payload.toString());
      else messages.push(payload.toString());
    }
    await eventually(() => messages.length === texts.length);
    assert.deepEqual(messages, texts);
    client.destroy();
    await front.bench.quiet();
  });

  it('until a message is too large, by its header, over all its fragments', async (t) => {
    const front = await Front.start(t, { config: { maxMessageBytes: 1000 } });
    const { client, upstream } = await front.open();
    const fromClient = new Inbox(upstream);
    const told = new Inbox(client);
    const good = [up(OPCODE.text, 'x'.repeat(1000)), up(OPCODE.text, 'x'.repeat(600), { fin: false })];
    client.write(Buffer.concat([...good, up(OPCODE.continuation, 'y'.repeat(401)).subarray(0, 8)]));
    await eventually(() => told.ended);
    assert.deepEqual(codes(told), [1009]);
    await eventually(() => codes(fromClient).length === 1);
    assert.deepEqual(codes(fromClient), [1001]);
    assert.ok(
      fromClient.bytes.subarray(0, -4).toString('latin1').startsWith(Buffer.concat(good).toString('latin1')),
    );
    await front.bench.quiet();
  });

  it('up to the message that is one too many', async (t) => {
    const front = await Front.start(t, { burst: 3 });
    const { client, upstream } = await front.open();
    const fromClient = new Inbox(upstream);
    const told = new Inbox(client);
    const messages = ['a', 'b', 'c', 'd', 'e'].map((text) => up(OPCODE.text, text));
    client.write(Buffer.concat(messages));
    await eventually(() => told.ended);
    assert.deepEqual(codes(told), [1008]);
    await eventually(() => codes(fromClient).length === 1);
    assert.deepEqual(
      frames(fromClient).map(({ opcode, payload }) => (opcode === OPCODE.text ? payload.toString() : opcode)),
      ['a', 'b', 'c', OPCODE.close],
    );
    await front.bench.quiet();
  });
});

describe('closing codes', () => {
  const VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
  const INVALID = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535];

  it('pass from the client to the upstream, all of them; the client gets its own back', async (t) => {
    const front = await Front.start(t);
    for (const code of [...VALID, 1010]) {
      const { client, upstream } = await front.open();
      const [told, heard] = [new Inbox(client), new Inbox(upstream)];
      client.write(up(OPCODE.close, closePayload(code, 'é'.repeat(61))));
      await eventually(() => codes(heard).length === 1);
      upstream.end(down(OPCODE.close, closePayload(code)));
      await eventually(() => told.ended);
      assert.deepEqual([codes(told), codes(heard)], [[code], [code]]);
      assert.equal(frames(heard)[0]!.payload.toString('utf8', 2), 'é'.repeat(61));
    }
    await front.bench.quiet();
  });

  it('pass from the upstream to the client; 1010 becomes 1011', async (t) => {
    const front = await Front.start(t);
    for (const code of [...VALID, 1010]) {
      const { client, upstream } = await front.open();
      const [told, heard] = [new Inbox(client), new Inbox(upstream)];
      upstream.write(down(OPCODE.close, closePayload(code, 'why')));
      await eventually(() => codes(told).length === 1 && heard.ended);
      assert.deepEqual([codes(told), codes(heard)], [[code === 1010 ? 1011 : code], [code]]);
      client.end(up(OPCODE.close, closePayload(code)));
    }
    await front.bench.quiet();
  });

  it('are answered once the upstream has said all it had to say, or had the time to', async (t) => {
    const front = await Front.start(t, { config: { controlTimeoutMs: 50 } });
    const { client, upstream } = await front.open();
    const [told, heard] = [new Inbox(client), new Inbox(upstream)];
    const answer = down(OPCODE.text, 'the answer');
    client.write(Buffer.concat([up(OPCODE.text, 'the question'), up(OPCODE.close, closePayload(1000))]));
    await eventually(() => codes(heard).length === 1);
    upstream.write(Buffer.concat([answer.subarray(0, 5)]));
    await eventually(() => told.length === 5);
    upstream.write(Buffer.concat([answer.subarray(5), down(OPCODE.close, closePayload(1000))]));
    await eventually(() => told.ended);
    assert.deepEqual(
      frames(told).map(({ opcode }) => opcode),
      [OPCODE.text, OPCODE.close],
    );
    const silent = await front.open();
    const toldToo = new Inbox(silent.client);
    silent.upstream.resume();
    silent.client.write(up(OPCODE.close, closePayload(4001)));
    await eventually(() => toldToo.ended);
    assert.deepEqual(codes(toldToo), [4001]);
    await front.bench.quiet();
  });

  it('that may not be sent are 1002 to whoever sent them, 1001 upstream and 1014 to the client', async (t) => {
    const front = await Front.start(t);
    for (const code of INVALID) {
      const one = await front.open();
      const [told, heard] = [new Inbox(one.client), new Inbox(one.upstream)];
      one.client.write(up(OPCODE.close, closePayload(code)));
      await eventually(() => told.ended && codes(heard).length === 1);
      assert.deepEqual([codes(told), codes(heard)], [[1002], [1001]], `client ${code}`);
      one.upstream.end();
      const two = await front.open();
      const [toldToo, heardToo] = [new Inbox(two.client), new Inbox(two.upstream)];
      two.upstream.write(down(OPCODE.close, closePayload(code)));
      await eventually(() => codes(toldToo).length === 1 && heardToo.ended);
      assert.deepEqual([codes(toldToo), codes(heardToo)], [[1014], [1002]], `upstream ${code}`);
      two.client.end(up(OPCODE.close, closePayload(1014)));
    }
    await front.bench.quiet();
  });

  it('are none for an empty close frame; 1014 and 1001 where there was no close frame at all', async (t) => {
    const front = await Front.start(t);
    const open = async () => {
      const { client, upstream } = await front.open();
      return { client, upstream, told: new Inbox(client), heard: new Inbox(upstream) };
    };
    const one = await open();
    one.client.write(up(OPCODE.close));
    await eventually(() => codes(one.heard).length === 1);
    // An upstream that just ends TCP has answered, too.
    one.upstream.end();
    await eventually(() => one.told.ended);
    assert.deepEqual([codes(one.told), codes(one.heard)], [[1005], [1005]]);
    const two = await open();
    two.upstream.write(down(OPCODE.close));
    await eventually(() => two.heard.ended && codes(two.told).length === 1);
    assert.deepEqual([codes(two.told), codes(two.heard)], [[1005], [1005]]);
    two.client.end(up(OPCODE.close));
    for (const end of ['end', 'destroy', 'resetAndDestroy'] as const) {
      const lostUpstream = await open();
      lostUpstream.upstream[end]();
      await eventually(() => codes(lostUpstream.told).length === 1);
      assert.deepEqual(codes(lostUpstream.told), [1014], `upstream ${end}`);
      lostUpstream.client.end(up(OPCODE.close, closePayload(1014)));
      const lostClient = await open();
      lostClient.client[end]();
      await eventually(() => codes(lostClient.heard).length === 1);
      assert.deepEqual(codes(lostClient.heard), [1001], `client ${end}`);
      lostClient.upstream.end();
    }
    await front.bench.quiet();
  });

  it('of violations: 1002 and 1007 to the client, then TCP ends; 1002 to the upstream and 1014 to the client', async (t) => {
    const front = await Front.start(t);
    const bad = [
      ['an unmasked frame', encodeFrame(OPCODE.text, 'x'), down(OPCODE.text, 'x', { mask: KEY }), 1002],
      ['a reserved bit', up(OPCODE.text, 'x', { rsv: 1 }), down(OPCODE.text, 'x', { rsv: 1 }), 1002],
      ['an orphan', up(OPCODE.continuation, 'x'), down(OPCODE.continuation, 'x'), 1002],
      [
        'a bad reason',
        up(OPCODE.close, Buffer.concat([closePayload(1000), Buffer.from([0xc3])])),
        down(OPCODE.close, Buffer.concat([closePayload(1000), Buffer.from([0xc3])])),
        1007,
      ],
    ] as const;
    for (const [name, ofClient, ofUpstream, code] of bad) {
      const one = await front.open();
      const [told, heard] = [new Inbox(one.client), new Inbox(one.upstream)];
      one.client.write(Buffer.concat([up(OPCODE.text, 'good'), ofClient, up(OPCODE.text, 'late')]));
      await eventually(() => told.ended && codes(heard).length === 1);
      assert.deepEqual([codes(told), codes(heard)], [[code], [1001]], name);
      assert.equal(frames(heard)[0]!.payload.toString(), 'good');
      one.upstream.end();
      const two = await front.open();
      const [toldToo, heardToo] = [new Inbox(two.client), new Inbox(two.upstream)];
      two.upstream.write(Buffer.concat([down(OPCODE.text, 'good'), ofUpstream, down(OPCODE.text, 'late')]));
      await eventually(() => codes(toldToo).length === 1 && heardToo.ended);
      assert.deepEqual([codes(toldToo), codes(heardToo)], [[1014], [code]], name);
      assert.equal(frames(toldToo)[0]!.payload.toString(), 'good');
      two.client.end(up(OPCODE.close, closePayload(1014)));
    }
    await front.bench.quiet();
  });
});

describe('between the pieces of a frame that passes', () => {
  it('nothing is put: pongs, pings and close frames wait for its end', async (t) => {
    const front = await Front.start(t);
    const { session, client, upstream } = await front.open();
    const [told, heard] = [new Inbox(client), new Inbox(upstream)];
    const large = down(OPCODE.binary, randomBytes(100_000));
    const upload = up(OPCODE.binary, randomBytes(100_000));
    upstream.write(large.subarray(0, 50_000));
    client.write(upload.subarray(0, 50_000));
    await eventually(() => told.length === 50_000 && heard.length === 50_000);
    // A pong of each side falls due in the middle of what goes the other way; fragments are no obstacle.
    client.write(upload.subarray(50_000));
    upstream.write(large.subarray(50_000, 60_000));
    await eventually(() => told.length === 60_000 && heard.length === upload.length);
    client.write(up(OPCODE.ping, 'from client'));
    client.write(up(OPCODE.binary, Buffer.alloc(10)).subarray(0, 8));
    await eventually(() => heard.length === upload.length + 8);
    session.close('shutdown');
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual([told.length, heard.length], [60_000, upload.length + 8], 'nothing in between');
    upstream.write(Buffer.concat([large.subarray(60_000), down(OPCODE.text, 'not any more')]));
    client.write(Buffer.concat([Buffer.alloc(8), up(OPCODE.text, 'not any more')]));
    await eventually(() => codes(told).length === 1 && codes(heard).length === 1);
    assert.ok(told.bytes.subarray(0, large.length).equals(large));
    assert.deepEqual(
      frames(told).map(({ opcode }) => opcode),
      [OPCODE.binary, OPCODE.pong, OPCODE.close],
    );
    assert.deepEqual(
      frames(heard).map(({ opcode }) => opcode),
      [OPCODE.binary, OPCODE.binary, OPCODE.close],
    );
    assert.deepEqual([codes(told), codes(heard)], [[1001], [1001]]);
    upstream.end();
    client.end();
    await front.bench.quiet();
  });

  it('there is no place for a close frame when the rest will not come, or may not: TCP ends without one', async (t) => {
    const front = await Front.start(t);
    const half = down(OPCODE.binary, Buffer.alloc(1000)).subarray(0, 500);
    const lost = await front.open();
    const toldLost = new Inbox(lost.client);
    lost.upstream.write(half);
    await eventually(() => toldLost.length === 500);
    lost.upstream.destroy();
    await eventually(() => toldLost.ended);
    assert.ok(toldLost.bytes.equals(half));

    const revoked = await front.open();
    const [told, heard] = [new Inbox(revoked.client), new Inbox(revoked.upstream)];
    revoked.upstream.write(half);
    const upload = up(OPCODE.binary, Buffer.alloc(1000)).subarray(0, 500);
    revoked.client.write(upload);
    await eventually(() => told.length === 500 && heard.length === 500);
    revoked.session.close('tokenRevoked');
    await eventually(() => told.closed && heard.closed);
    assert.deepEqual([told.length, heard.length], [500, 500]);

    const vanished = await front.open();
    const heardVanished = new Inbox(vanished.upstream);
    vanished.client.write(upload);
    await eventually(() => heardVanished.length === 500);
    vanished.client.destroy();
    await eventually(() => heardVanished.closed);
    assert.equal(heardVanished.length, 500);
    await front.bench.quiet();
  });

  it('a session that has to end waits for the rest no longer than for a close frame', async (t) => {
    const front = await Front.start(t, { config: { controlTimeoutMs: 50 } });
    const { session, client, upstream } = await front.open();
    const [told, heard] = [new Inbox(client), new Inbox(upstream)];
    upstream.write(down(OPCODE.binary, Buffer.alloc(1000)).subarray(0, 500));
    client.write(up(OPCODE.binary, Buffer.alloc(1000)).subarray(0, 500));
    await eventually(() => told.length === 500 && heard.length === 500);
    session.close('shutdown');
    front.bench.pass(1000);
    await eventually(() => told.closed && heard.closed);
    assert.deepEqual([told.length, heard.length], [500, 500]);
    await front.bench.quiet();
  });
});

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
});

describe('MQTT', () => {
  it('has no text frames, either way', async (t) => {
    const front = await Front.start(t, { route: { protocol: 'mqtt' } });
    const connect = Buffer.from('100c00044d51545404020000' + '0000', 'hex');
    for (const side of ['client', 'upstream'] as const) {
      let upstream: Socket | undefined;
      const { script } = front.upstreamServer;
      front.upstreamServer.script = (socket, head, rest) => {
        upstream = socket;
        script(socket, head, rest);
      };
      const { session, client } = await front.dial(up(OPCODE.binary, connect), { subprotocols: ['mqtt'] });
      await eventually(() => session.state === 'open');
      front.upstreamServer.script = script;
      const [told, heard] = [new Inbox(client), new Inbox(upstream!)];
      if (side === 'client') client.write(up(OPCODE.text, 'text'));
      else upstream!.write(down(OPCODE.text, 'text'));
      await eventually(() => codes(told).length === 1 && codes(heard).length === 1);
      assert.deepEqual(codes(told), [1003], side);
      assert.deepEqual(
        frames(heard).map(({ opcode }) => opcode),
        [OPCODE.binary, OPCODE.close],
      );
      client.end();
      upstream!.end();
    }
    await front.bench.quiet();
  });
});
