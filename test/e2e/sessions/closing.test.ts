import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exchange, handshakeHead, MASK, type RawClient } from '../../support/clients/raw-client.js';
import type { Closing } from '../../support/clients/ws-client.js';
import { within } from '../../support/eventually.js';
import { EchoAndScripted } from '../../support/gateway/echo-and-scripted.js';
import { closePayload, encodeFrame, FrameReader, OPCODE } from '../../support/protocols/frames.js';
import { switching } from '../../support/upstreams/raw-upstream.js';

const LOST = { code: 1014, reason: 'Upstream connection lost' };
/** Payloads of close frames that RFC 6455 §7.4 and §8.1 forbid. */
const INVALID_PAYLOADS: Readonly<Record<string, Buffer>> = {
  ...Object.fromEntries(
    [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((code) => [
      String(code),
      closePayload(code),
    ]),
  ),
  'one byte': Buffer.from([3]),
  'reason no UTF-8': Buffer.concat([closePayload(1000), Buffer.from([0xff, 0xfe])]),
};

describe('closing', () => {
  const bed = new EchoAndScripted({ CB_FAILURE_THRESHOLD: '100000' });

  it("takes a client's code and reason to the upstream", async () => {
    const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 4000, 4403, 4999];
    for (const code of codes) {
      bed.echo.reset();
      const peer = await bed.open('/echo');
      const session = await bed.echo.session();
      assert.equal((await peer.close(code, `wegen ${code} – ü`)).code, code);
      assert.deepEqual(await session.ended(), { code, reason: `wegen ${code} – ü` });
    }
    // uWebSockets.js hides these codes of a client: the upstream is told 1001.
    const hidden = (await bed.gateway.listener()) === 'uws';
    for (const code of [1012, 1013, 1014, 3000, 3999]) {
      bed.echo.reset();
      const peer = await bed.open('/echo');
      const session = await bed.echo.session();
      peer.socket.close(code, 'x');
      assert.equal((await session.ended()).code, hidden ? 1001 : code, String(code));
      await peer.ended();
    }
  });

  it("takes a client's close without a code to the upstream as one", async () => {
    const client = await bed.openRaw('/echo');
    const session = await bed.echo.session();
    client.frame(OPCODE.close);
    assert.equal((await session.ended()).code, 1005);
    await within(client.closed, 'end of the client');
  });

  it('tells the upstream 1001 when the client vanishes', async () => {
    for (const vanish of ['reset', 'end'] as const) {
      bed.echo.reset();
      const client = await bed.openRaw('/echo');
      const session = await bed.echo.session();
      if (vanish === 'reset') client.socket.resetAndDestroy();
      else client.socket.end();
      assert.deepEqual(await session.ended(), { code: 1001, reason: '' }, vanish);
      client.destroy();
    }
  });

  it('ends both sides on a close frame of a client that breaks the rules', async () => {
    for (const [name, payload] of Object.entries(INVALID_PAYLOADS)) {
      bed.echo.reset();
      const client = await bed.openRaw('/echo');
      const session = await bed.echo.session();
      client.frame(OPCODE.close, payload);
      await within(client.closed, `end of the client after ${name}`);
      const { code } = await session.ended();
      assert.ok([1001, 1002, 1005, 1007].includes(code), `${name}: upstream got ${code}`);
    }
  });

  it('ends both sides on other frames of a client that break the rules', async () => {
    const isUws = (await bed.gateway.listener()) === 'uws';
    const breaches: Record<string, (client: RawClient) => void> = {
      'reserved opcode': (client) => client.frame(3, 'x'),
      'reserved bit': (client) => client.frame(OPCODE.text, 'x', { rsv: 4 }),
      'orphan continuation': (client) => client.frame(OPCODE.continuation, 'x'),
      'fragmented ping': (client) => client.frame(OPCODE.ping, 'x', { fin: false }),
      'long ping': (client) => client.frame(OPCODE.ping, 'x'.repeat(126)),
      // To the other listener text is the endpoints' business.
      ...(isUws && {
        'text that is no UTF-8': (client: RawClient) => client.frame(OPCODE.text, Buffer.from([0xff, 0xfe])),
      }),
      'new message inside another': (client) => {
        client.frame(OPCODE.text, 'x', { fin: false });
        client.frame(OPCODE.text, 'y');
      },
    };
    for (const [name, breach] of Object.entries(breaches)) {
      bed.echo.reset();
      const client = await bed.openRaw('/echo');
      const session = await bed.echo.session();
      breach(client);
      await within(client.closed, `end of the client after ${name}`);
      assert.ok([1001, 1002, 1007].includes((await session.ended()).code), name);
      assert.equal(session.inbox.length, 0, `${name}: nothing was forwarded`);
    }
  });

  /** What the client and the upstream end with when the upstream sends `frame`; it answers no close. */
  async function upstreamSends(frame: Buffer): Promise<{ client: Closing; upstream: number }> {
    const upstream = new Promise<number>((resolve) => {
      bed.scripted.script = (socket, head) => {
        socket.write(Buffer.concat([Buffer.from(switching(head)), frame]));
        const reader = new FrameReader();
        socket.on('data', (bytes) => {
          for (const { opcode, payload } of reader.push(bytes))
            if (opcode === OPCODE.close) resolve(payload.length >= 2 ? payload.readUInt16BE() : 1005);
        });
        socket.on('end', () => socket.end());
        socket.on('close', () => resolve(1006));
      };
    });
    const peer = await bed.open('/scripted');
    return { client: await peer.ended(), upstream: await upstream };
  }

  it("takes an upstream's code and reason to the client and answers it", async () => {
    for (const code of [
      1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
    ]) {
      const reason = `wegen ${code} – ü`;
      const ends = await upstreamSends(encodeFrame(OPCODE.close, closePayload(code, reason)));
      assert.deepEqual(ends.client, { code, reason });
      assert.equal(ends.upstream, code, 'its close frame is answered');
    }
    const none = await upstreamSends(encodeFrame(OPCODE.close));
    assert.deepEqual(none, { client: { code: 1005, reason: '' }, upstream: 1005 });
    // 1010 is for clients to send: theirs is told 1011.
    assert.equal((await upstreamSends(encodeFrame(OPCODE.close, closePayload(1010)))).client.code, 1011);
  });

  it('keeps reasons up to the 123 bytes a close frame holds', async () => {
    for (const reason of ['x'.repeat(123), 'é'.repeat(61)]) {
      const ends = await upstreamSends(encodeFrame(OPCODE.close, closePayload(4000, reason)));
      assert.deepEqual(ends.client, { code: 4000, reason });
      bed.echo.reset();
      const peer = await bed.open('/echo');
      const session = await bed.echo.session();
      await peer.close(4000, reason);
      assert.deepEqual(await session.ended(), { code: 4000, reason });
    }
  });

  it('tells the client 1014 when the upstream vanishes', async () => {
    for (const vanish of ['resetAndDestroy', 'end', 'destroy'] as const) {
      bed.scripted.script = (socket, head) => {
        socket.write(switching(head));
        socket.once('data', () => socket[vanish]());
      };
      const peer = await bed.open('/scripted');
      peer.send('now');
      assert.deepEqual(await peer.ended(), LOST, vanish);
    }
  });

  it('tells the client 1014 and the upstream 1002 or 1007 when the upstream breaks the rules', async () => {
    const isUws = (await bed.gateway.listener()) === 'uws';
    const frames: Record<string, Buffer> = {
      ...Object.fromEntries(
        Object.entries(INVALID_PAYLOADS).map(([name, payload]) => [
          `close ${name}`,
          encodeFrame(OPCODE.close, payload),
        ]),
      ),
      'reserved opcode': encodeFrame(3, 'x'),
      'reserved control opcode': encodeFrame(11, 'x'),
      'reserved bit': encodeFrame(OPCODE.text, 'x', { rsv: 4 }),
      'reserved bit of a ping': encodeFrame(OPCODE.ping, 'x', { rsv: 1 }),
      'masked frame': encodeFrame(OPCODE.text, 'x', { mask: Buffer.from('mask') }),
      'orphan continuation': encodeFrame(OPCODE.continuation, 'x'),
      'fragmented ping': encodeFrame(OPCODE.ping, 'x', { fin: false }),
      'long ping': encodeFrame(OPCODE.ping, 'x'.repeat(126)),
      'new message inside another': Buffer.concat([
        encodeFrame(OPCODE.text, 'x', { fin: false }),
        encodeFrame(OPCODE.text, 'y'),
      ]),
      'length in more bytes than it needs': Buffer.from([0x82, 126, 0, 5, 1, 2, 3, 4, 5]),
      // Where frames pass as they came, text is the endpoints' business.
      ...(isUws && {
        'text that is no UTF-8': encodeFrame(OPCODE.text, Buffer.from([0xc3, 0x28])),
      }),
      garbage: Buffer.from('HTTP/1.1 200 OK\r\n\r\n'),
    };
    for (const [name, frame] of Object.entries(frames)) {
      const ends = await upstreamSends(frame);
      assert.deepEqual(ends.client, LOST, name);
      assert.ok([1002, 1007].includes(ends.upstream), `${name}: upstream was told ${ends.upstream}`);
    }
  });

  it('drops an upstream that does not answer a close frame within the control timeout', async () => {
    bed.scripted.script = (socket, head) => {
      socket.write(switching(head));
      socket.resume();
    };
    const peer = await bed.open('/scripted');
    const started = Date.now();
    await peer.close(1000);
    assert.ok(Date.now() - started < 10_000);
  });

  it('delivers what was sent before a close, and nothing after it', async () => {
    const { client } = await upstreamSends(
      Buffer.concat([
        encodeFrame(OPCODE.text, 'last words'),
        encodeFrame(OPCODE.close, closePayload(4001, 'bye')),
        encodeFrame(OPCODE.text, 'ghost'),
      ]),
    );
    assert.deepEqual(client, { code: 4001, reason: 'bye' });
    const peer = await bed.open('/echo');
    const session = await bed.echo.session();
    for (let index = 0; index < 100; index++) peer.send(String(index));
    await peer.close(4002);
    assert.equal((await session.ended()).code, 4002);
    assert.equal(session.inbox.length, 100, 'all that was sent before the close came');
  });

  it('delivers what came behind a token before a close, though the upstream was not open yet', async (t) => {
    // uWebSockets.js answers a close frame by itself.
    if ((await bed.gateway.listener()) === 'uws') return t.skip();
    const { client, answer } = await exchange(bed.gateway.port, handshakeHead(bed.gateway.port, '/echo'));
    assert.equal(answer?.status, 101);
    const frames: readonly [number, Buffer][] = [
      [OPCODE.text, Buffer.from(bed.issuer.sign())],
      [OPCODE.text, Buffer.from('fire')],
      [OPCODE.binary, Buffer.from('and forget')],
      [OPCODE.close, closePayload(4002, 'done')],
    ];
    client.write(
      Buffer.concat(frames.map(([opcode, payload]) => encodeFrame(opcode, payload, { mask: MASK }))),
    );
    const session = await bed.echo.session();
    assert.deepEqual(await session.ended(), { code: 4002, reason: 'done' });
    assert.equal(session.inbox.length, 2);
    let last: Buffer | undefined;
    for await (const { payload } of client.frames()) last = payload;
    assert.deepEqual(last, closePayload(4002, 'done'));
  });
});
