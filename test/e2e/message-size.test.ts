import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { eventually, within } from '../support/eventually.js';
import { encodeFrame, OPCODE } from '../support/frames.js';
import { type Gateway, startGateway } from '../support/gateway.js';
import { type Issuer, startIssuer } from '../support/issuer.js';
import { assertQuiet } from '../support/quiet.js';
import { exchange, handshakeHead, MASK, type RawClient } from '../support/raw-client.js';
import { type RawUpstream, startRawUpstream, switching } from '../support/raw-upstream.js';
import { startEcho, type Upstream } from '../support/upstream.js';
import { Peer } from '../support/ws-client.js';

const MIB = 1024 * 1024;
const POOL = randomBytes(2 * MIB);

describe('limits on the size of messages', () => {
  let issuer: Issuer;
  let echo: Upstream;
  let scripted: RawUpstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    scripted = await startRawUpstream(() => {});
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [
        { prefix: '/echo', upstream: echo.url },
        { prefix: '/scripted', upstream: scripted.url },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), scripted.close(), issuer.close()]);
  });
  afterEach(async () => {
    echo.reset();
    await assertQuiet(gateway, { upstreams: [echo, scripted] });
  });

  const open = (path: string): Promise<Peer> => Peer.open(gateway.ws + path, { token: issuer.sign() });
  async function openRaw(path: string): Promise<RawClient> {
    const { client, answer } = await exchange(
      gateway.port,
      handshakeHead(gateway.port, path, [`Authorization: Bearer ${issuer.sign()}`]),
    );
    assert.equal(answer?.status, 101);
    return client;
  }

  it('closes 1009 on a client message over MAX_MESSAGE_BYTES, whole or in fragments', async () => {
    const peer = await open('/echo');
    peer.send(POOL.subarray(0, MIB + 1));
    assert.equal((await peer.ended()).code, 1009);
    const client = await openRaw('/echo');
    client.frame(OPCODE.binary, POOL.subarray(0, MIB), { fin: false });
    client.frame(OPCODE.continuation, 'x');
    assert.equal(await closeCode(client), 1009);
    const far = await open('/echo');
    far.send(Buffer.concat([POOL, POOL, POOL, POOL]));
    assert.ok([1006, 1009].includes((await far.ended()).code));
    assert.ok(
      echo.sessions.every((session) => session.inbox.length === 0),
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
    const before = await gateway.rssBytes();
    for (const length of lengths) {
      for (const path of ['/echo', '/scripted']) {
        scripted.script = (socket, head) => socket.write(switching(head));
        const client = await openRaw(path);
        client.write(announce(length, 0x80));
        await within(client.closed, `end of a client that announced ${length}`);
        const { client: silent } = await exchange(gateway.port, handshakeHead(gateway.port, path));
        silent.write(announce(length, 0x80));
        await within(silent.closed, `end of a client without a token that announced ${length}`);
      }
      if (length < 2n ** 53n) continue;
      scripted.script = (socket, head) => {
        socket.write(switching(head));
        socket.write(announce(length, 0));
      };
      const peer = await open('/scripted');
      assert.deepEqual(await peer.ended(), { code: 1014, reason: 'Upstream connection lost' });
    }
    assert.ok((await gateway.rssBytes()) - before < 48 * MIB);
  });

  it('closes 1009 on too much before the token, and drops a huge first frame unread', async () => {
    const peer = await Peer.open(`${gateway.ws}/echo`);
    peer.send(POOL.subarray(0, 70_000));
    assert.equal((await peer.ended()).code, 1009);
    const before = await gateway.rssBytes();
    const { client } = await exchange(gateway.port, handshakeHead(gateway.port, '/echo'));
    const head = encodeFrame(OPCODE.binary, '', { mask: MASK }).subarray(0, 2);
    const announced = Buffer.alloc(8);
    announced.writeBigUInt64BE(300n * BigInt(MIB));
    client.write(Buffer.concat([Buffer.from([head[0]!, 0xff]), announced, MASK]));
    for (let index = 0; index < 150 && !client.socket.destroyed; index++) {
      client.write(POOL);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await within(client.closed, 'end of the client');
    assert.ok((await gateway.rssBytes()) - before < 48 * MIB);
    assert.equal(echo.sessions.length, 0);
  });

  it('unpacks nothing that is compressed, with a token or without, whatever a client offers', async () => {
    // docs/listeners.md: it drops the connection on a bad frame.
    const code = (await gateway.listener()) === 'uws' ? 1006 : 1002;
    const bomb = deflateRawSync(Buffer.alloc(32 * MIB));
    for (const lines of [[], [`Authorization: Bearer ${issuer.sign()}`]]) {
      const offer = 'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15';
      const head = handshakeHead(gateway.port, '/echo', [offer, ...lines]);
      const { client, answer } = await exchange(gateway.port, head);
      assert.equal(answer?.status, 101);
      assert.equal(answer.headers['sec-websocket-extensions'], undefined);
      client.frame(OPCODE.binary, bomb, { rsv: 4 });
      assert.equal(await closeCode(client), code);
    }
    assert.ok(echo.sessions.every((session) => session.inbox.length === 0));
  });

  it('closes 1009 when more than MAX_BUFFERED_BYTES come before the upstream is open', async () => {
    scripted.script = () => {};
    const peer = await Peer.open(`${gateway.ws}/scripted`);
    peer.send(issuer.sign());
    await eventually(() => scripted.openSockets() === 1);
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
