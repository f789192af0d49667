import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { exchange, handshakeHead, MASK, type RawClient } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually, within } from '../../support/eventually.js';
import { EchoAndScripted } from '../../support/gateway/echo-and-scripted.js';
import { encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { switching } from '../../support/upstreams/raw-upstream.js';

const MIB = 1024 * 1024;
const POOL = randomBytes(2 * MIB);

describe('limits on the size of messages', () => {
  const bed = new EchoAndScripted();

  it('closes 1009 on a client message over MAX_MESSAGE_BYTES, whole or in fragments', async () => {
    const peer = await bed.open('/echo');
    peer.send(POOL.subarray(0, MIB + 1));
    assert.equal((await peer.ended()).code, 1009);
    const client = await bed.openRaw('/echo');
    client.frame(OPCODE.binary, POOL.subarray(0, MIB), { fin: false });
    client.frame(OPCODE.continuation, 'x');
    assert.equal(await closeCode(client), 1009);
    const far = await bed.open('/echo');
    far.send(Buffer.concat([POOL, POOL, POOL, POOL]));
    assert.ok([1006, 1009].includes((await far.ended()).code));
    assert.ok(
      bed.echo.sessions.every((session) => session.inbox.length === 0),
      'nothing was forwarded',
    );
  });

  it('keeps its memory when a client or an upstream announces absurd lengths', async () => {
    const lengths = [2n ** 63n, 2n ** 64n - 1n, 2n ** 63n - 1n, 2n ** 53n, 2n ** 32n];
    const announce = (length: bigint, mask: number): Buffer => {
      const head = Buffer.alloc(10);
      head.set([0x82, mask | 127]);
      head.writeBigUInt64BE(length, 2);
      return mask ? Buffer.concat([head, MASK]) : head;
    };
    const before = await bed.gateway.rssBytes();
    for (const length of lengths) {
      for (const path of ['/echo', '/scripted']) {
        bed.scripted.script = (socket, head) => socket.write(switching(head));
        const client = await bed.openRaw(path);
        client.write(announce(length, 0x80));
        await within(client.closed, `end of a client that announced ${length}`);
        const { client: silent } = await exchange(bed.gateway.port, handshakeHead(bed.gateway.port, path));
        silent.write(announce(length, 0x80));
        await within(silent.closed, `end of a client without a token that announced ${length}`);
      }
      if (length < 2n ** 53n) continue;
      bed.scripted.script = (socket, head) => {
        socket.write(switching(head));
        socket.write(announce(length, 0));
      };
      const peer = await bed.open('/scripted');
      assert.deepEqual(await peer.ended(), { code: 1014, reason: 'Upstream connection lost' });
    }
    assert.ok((await bed.gateway.rssBytes()) - before < 48 * MIB);
  });

  it('closes 1009 on too much before the token, and drops a huge first frame unread', async () => {
    const peer = await Peer.open(`${bed.gateway.ws}/echo`);
    peer.send(POOL.subarray(0, 70_000));
    assert.equal((await peer.ended()).code, 1009);
    const before = await bed.gateway.rssBytes();
    const { client } = await exchange(bed.gateway.port, handshakeHead(bed.gateway.port, '/echo'));
    const head = encodeFrame(OPCODE.binary, '', { mask: MASK }).subarray(0, 2);
    const announced = Buffer.alloc(8);
    announced.writeBigUInt64BE(300n * BigInt(MIB));
    client.write(Buffer.concat([Buffer.from([head[0]!, 0xff]), announced, MASK]));
    for (let index = 0; index < 150 && !client.socket.destroyed; index++) {
      client.write(POOL);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await within(client.closed, 'end of the client');
    assert.ok((await bed.gateway.rssBytes()) - before < 48 * MIB);
    assert.equal(bed.echo.sessions.length, 0);
  });

  it('unpacks nothing that is compressed, with a token or without, whatever a client offers', async () => {
    // docs/listeners.md: it drops the connection on a bad frame.
    const code = (await bed.gateway.listener()) === 'uws' ? 1006 : 1002;
    const bomb = deflateRawSync(Buffer.alloc(32 * MIB));
    for (const lines of [[], [`Authorization: Bearer ${bed.issuer.sign()}`]]) {
      const offer = 'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15';
      const head = handshakeHead(bed.gateway.port, '/echo', [offer, ...lines]);
      const { client, answer } = await exchange(bed.gateway.port, head);
      assert.equal(answer?.status, 101);
      assert.equal(answer.headers['sec-websocket-extensions'], undefined);
      client.frame(OPCODE.binary, bomb, { rsv: 4 });
      assert.equal(await closeCode(client), code);
    }
    assert.ok(bed.echo.sessions.every((session) => session.inbox.length === 0));
  });

  it('closes 1009 when more than MAX_BUFFERED_BYTES come before the upstream is open', async () => {
    bed.scripted.script = () => {};
    const peer = await Peer.open(`${bed.gateway.ws}/scripted`);
    peer.send(bed.issuer.sign());
    await eventually(() => bed.scripted.openSockets() === 1);
    peer.send(POOL.subarray(0, MIB / 2));
    peer.send(POOL.subarray(0, MIB / 2 + 1));
    assert.equal((await peer.ended()).code, 1009);
  });
});

/** The code of the close frame a raw client gets; 1006 without one. */
async function closeCode(client: RawClient): Promise<number> {
  for await (const frame of client.frames())
    if (frame.opcode === OPCODE.close) return frame.payload.length >= 2 ? frame.payload.readUInt16BE() : 1005;
  return 1006;
}
