import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { eventually } from '../../support/eventually.js';
import { OPCODE } from '../../support/protocols/frames.js';
import { Front, Inbox } from '../front.js';
import { codes, down, frames, up, write } from '../wire.js';

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

  it('until there are as many empty fragments in a message as it may have bytes', async (t) => {
    const front = await Front.start(t, { config: { maxMessageBytes: 1000 } });
    const { client, upstream } = await front.open();
    const fromClient = new Inbox(upstream);
    const told = new Inbox(client);
    const empty = up(OPCODE.continuation, '', { fin: false });
    const message = [
      up(OPCODE.text, 'a', { fin: false }),
      ...Array<Buffer>(999).fill(empty),
      up(OPCODE.continuation, 'b'.repeat(999)),
    ];
    client.write(Buffer.concat([...message, ...message.slice(0, -1), empty, empty]));
    await eventually(() => told.ended);
    assert.deepEqual(codes(told), [1009]);
    await eventually(() => codes(fromClient).length === 1);
    assert.equal(
      frames(fromClient).length,
      2 * message.length,
      'all before the one too many, and a close frame',
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
