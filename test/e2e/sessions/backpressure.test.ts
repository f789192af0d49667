import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { exchange, handshakeHead } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually, within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { closePayload, encodeFrame, OPCODE } from '../../support/protocols/frames.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RawUpstream, startRawUpstream, switching } from '../../support/upstreams/raw-upstream.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const MIB = 1024 * 1024;
const MESSAGE_BYTES = 64 * 1024;
const MESSAGES = 3200;

describe('a peer that is too slow', () => {
  let issuer: Issuer;
  let scripted: RawUpstream;
  let echo: Upstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    scripted = await startRawUpstream(() => {});
    echo = await startEcho();
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WS_WRITE_TIMEOUT_SECONDS: '4' },
      routes: [
        { prefix: '/scripted', upstream: scripted.url },
        { prefix: '/echo', upstream: echo.url },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([scripted.close(), echo.close(), issuer.close()]);
  });
  afterEach(() => assertQuiet(gateway, { upstreams: [scripted, echo] }));

  /** An upstream that sends numbered messages as fast as it can; `progress` counts those handed over. */
  function flood(): { sent: number } {
    const progress = { sent: 0 };
    scripted.script = (socket, head) => {
      socket.write(switching(head));
      const message = Buffer.alloc(MESSAGE_BYTES, 7);
      socket.on('data', () => {});
      void (async () => {
        while (progress.sent < MESSAGES && !socket.destroyed) {
          message.writeUInt32BE(progress.sent++);
          if (!socket.write(encodeFrame(OPCODE.binary, message)))
            await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {});
        }
        if (!socket.destroyed) socket.write(encodeFrame(OPCODE.close, closePayload(4000, 'all sent')));
      })();
    };
    return progress;
  }
  /** A healthy session beside the sick one. */
  async function assertOthersServed(): Promise<void> {
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'healthy' }) });
    peer.send('well');
    assert.equal(await peer.text(), 'well');
    await peer.close();
  }

  it('gets 200 MB complete and in order, while the gateway holds little of it', async () => {
    const before = await gateway.rssBytes();
    const progress = flood();
    const peer = await Peer.open(`${gateway.ws}/scripted`, { token: issuer.sign() });
    let received = 0;
    let stalled = 0;
    let peakRss = 0;
    peer.socket.on('message', () => {
      const { data } = peer.inbox.shift()!;
      assert.equal(data.length, MESSAGE_BYTES);
      assert.equal(data.readUInt32BE(), received, 'in order');
      received++;
      // Every 40 MB it takes nothing for a while.
      if (received % 640 !== 320) return;
      peer.socket.pause();
      void (async () => {
        await standstill(() => progress.sent);
        await assertOthersServed();
        peakRss = Math.max(peakRss, await gateway.rssBytes());
        if (progress.sent < MESSAGES) stalled++;
        peer.socket.resume();
      })();
    });
    assert.deepEqual(await peer.ended(60_000), { code: 4000, reason: 'all sent' });
    assert.equal(received, MESSAGES);
    assert.ok(stalled >= 3, 'the upstream was paused while the client took nothing');
    assert.ok(peakRss - before < 64 * MIB, `grew by ${Math.round((peakRss - before) / MIB)} MiB`);
    const metrics = await gateway.metrics();
    assert.ok(metrics.sum('ws_backpressure_total', { direction: 'upstream_to_client' }) >= 1);
  });

  it('as a client that never reads is dropped after the write timeout', async () => {
    const before = await gateway.rssBytes();
    flood();
    const head = handshakeHead(gateway.port, '/scripted', [`Authorization: Bearer ${issuer.sign()}`]);
    const { client } = await exchange(gateway.port, head);
    client.socket.pause();
    await assertOthersServed();
    assert.ok((await gateway.rssBytes()) - before < 64 * MIB);
    await eventually(() => scripted.openSockets() === 0, 30_000);
    const metrics = await gateway.metrics();
    assert.equal(metrics.sum('ws_session_closed_total', { reason: 'client_write_timeout' }), 1);
    client.destroy();
  });

  it('as an upstream closes the session with 1013', async () => {
    const before = await gateway.rssBytes();
    let stuck: Socket | undefined;
    scripted.script = (socket, head) => {
      socket.write(switching(head));
      stuck = socket.pause();
    };
    const peer = await Peer.open(`${gateway.ws}/scripted`, { token: issuer.sign() });
    const chunk = Buffer.alloc(256 * 1024);
    let closed = false;
    void peer.closed.then(() => {
      closed = true;
    });
    for (let sent = 0; sent < 200 && !closed; sent++)
      await within(new Promise((resolve) => peer.socket.send(chunk, resolve)), 'room to send', 60_000);
    assert.deepEqual(await peer.ended(), { code: 1013, reason: 'Upstream too slow' });
    // It hears of its end only when it reads again.
    stuck?.resume();
    assert.ok((await gateway.rssBytes()) - before < 64 * MIB);
    await assertOthersServed();
  });
});

/** Waits until a count has stayed as it is for half a second: all kernels' buffers on the way are full. */
async function standstill(count: () => number): Promise<void> {
  for (let last = Number.NaN, now = count(); now !== last; now = count()) {
    last = now;
    await pause(500);
  }
}
