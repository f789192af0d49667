import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { exchange, handshakeHead } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { FrameReader, OPCODE } from '../../support/protocols/frames.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { type RawUpstream, startRawUpstream, switching } from '../../support/upstreams/raw-upstream.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

/** The shortest there is, and twice that for a busy machine. */
const IDLE_SECONDS = 8;
const WITHIN_MS = 30_000;

describe('silence', { concurrency: true }, () => {
  let issuer: Issuer;
  let echo: Upstream;
  let silent: RawUpstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    echo = await startEcho();
    silent = await startRawUpstream((socket, head) => {
      socket.write(switching(head));
      socket.resume();
    });
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WS_IDLE_TIMEOUT_SECONDS: String(IDLE_SECONDS) },
      routes: [
        { prefix: '/echo', upstream: echo.url },
        { prefix: '/silent', upstream: silent.url },
      ],
    });
  });
  after(async () => {
    await assertQuiet(gateway, { upstreams: [echo, silent] });
    await gateway.stop();
    await Promise.all([echo.close(), silent.close(), issuer.close()]);
  });

  it('of a client that answers pings is no reason to close, on either side', async () => {
    const token = issuer.sign({ sub: 'patient' });
    const peer = await Peer.open(`${gateway.ws}/echo`, { token });
    const session = echo.sessions.find((each) => each.header('x-user-id') === 'patient')!;
    const pinged = { client: 0, upstream: 0 };
    const both = new Promise<void>((resolve) => {
      const check = (): void => {
        // The third ping comes when without the first two answers the session would be over.
        if (pinged.client >= 3 && pinged.upstream >= 3) resolve();
      };
      peer.socket.on('ping', () => {
        pinged.client++;
        check();
      });
      session.socket.on('ping', () => {
        pinged.upstream++;
        check();
      });
    });
    await within(both, `three pings on both sides`, 60_000);
    peer.send('still here');
    assert.equal(await peer.text(), 'still here');
    await peer.close();
  });

  it('of a client that answers none closes it; its upstream is told 1001', async () => {
    const token = issuer.sign({ sub: 'mute' });
    const head = handshakeHead(gateway.port, '/echo', [`Authorization: Bearer ${token}`]);
    const { client } = await exchange(gateway.port, head);
    const session = echo.sessions.find((each) => each.header('x-user-id') === 'mute')!;
    const started = Date.now();
    const reader = new FrameReader();
    let pinged = false;
    client.socket.on('data', (bytes) => {
      pinged ||= reader.push(bytes).some((frame) => frame.opcode === OPCODE.ping);
    });
    await within(client.closed, 'end of the client', WITHIN_MS);
    assert.ok(pinged, 'it was pinged before');
    assert.ok(Date.now() - started > 6000, 'not before its time');
    assert.equal((await session.ended()).code, 1001);
  });

  it('of an upstream that answers none closes the session with 1014', async () => {
    const peer = await Peer.open(`${gateway.ws}/silent`, { token: issuer.sign() });
    assert.deepEqual(await peer.ended(WITHIN_MS), { code: 1014, reason: 'Upstream connection lost' });
  });
});
