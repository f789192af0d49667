import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { exchange, handshakeHead, RawClient } from '../../support/clients/raw-client.js';
import { isClosedUnanswered, Peer, Refused } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { ChaosUpstream } from '../../support/upstreams/chaos-upstream.js';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.js';

const LIMIT = 3;
const SUB = 'alice';

describe('a connection that ends, however it does, frees its place under every limit', () => {
  let issuer: Issuer;
  let upstream: Upstream;
  /** Takes connections and answers nothing: it is stopped all the time. */
  let hung: ChaosUpstream;
  let gateway: Gateway;

  before(async () => {
    issuer = await startIssuer();
    hung = await ChaosUpstream.start('hung');
    hung.pause();
    upstream = await startUpstream({
      onSession: (peer) =>
        peer.socket.on('message', (data) => {
          const said = String(data);
          if (said === 'close') peer.socket.close(4000);
          else if (said === 'vanish') peer.socket.terminate();
          else peer.send(said);
        }),
    });
    gateway = await startGateway({
      env: {
        JWKS_URL: issuer.jwksUrl,
        MAX_CONNECTIONS: String(LIMIT),
        MAX_CONNECTIONS_PER_IP: String(LIMIT),
        MAX_CONNECTIONS_PER_SUB: String(LIMIT),
        RATE_LIMIT_PER_SECOND: '20',
        RATE_LIMIT_BURST: '20',
        AUTH_TIMEOUT_SECONDS: '0.5',
        WS_DIAL_TIMEOUT_SECONDS: '0.5',
        WS_DIAL_RETRY_MAX: '1',
        CB_FAILURE_THRESHOLD: '1000000',
      },
      routes: [
        { prefix: '/dead', upstream: 'ws://127.0.0.1:1' },
        { prefix: '/hung', upstream: hung.url },
        { prefix: '/roles', upstream: upstream.url, requireRoles: ['none-has-it'] },
        { prefix: '/', upstream: upstream.url },
      ],
    });
  });
  // A good login keeps the failures among the endings from locking the address out.
  beforeEach(async () => {
    const peer = await eventually(() => open());
    await peer.close();
  });
  after(async () => {
    await hung?.stop();
    if (gateway !== undefined) await assertQuiet(gateway, { upstreams: [upstream] });
    await gateway?.stop();
    await Promise.all([upstream?.close(), issuer?.close()]);
  });

  const open = (path = '/app', jti?: string): Promise<Peer> =>
    Peer.open(gateway.ws + path, { token: issuer.sign({ sub: SUB, ...(jti === undefined ? {} : { jti }) }) });
  const ended = async (peer: Peer, code: number): Promise<void> =>
    assert.equal((await peer.ended()).code, code);
  async function says(text: string, code: number): Promise<void> {
    const peer = await open();
    peer.send(text);
    await ended(peer, code);
  }
  /** A raw opening handshake with a good token. */
  const head = (path: string, lines: readonly string[] = []): string =>
    handshakeHead(gateway.port, path, [`Authorization: Bearer ${issuer.sign({ sub: SUB })}`, ...lines]);

  const ENDINGS: Readonly<Record<string, () => Promise<void>>> = {
    'the client closes': async () => {
      await (await open()).close();
    },
    'the client vanishes': async () => {
      const peer = await open();
      peer.send('hello');
      await peer.next();
      peer.socket.terminate();
    },
    'the upstream closes': () => says('close', 4000),
    'the upstream vanishes': () => says('vanish', 1014),
    'the dial fails': async () => ended(await open('/dead'), 1014),
    'the dial hangs': async () => ended(await open('/hung'), 1014),
    'the client goes while its dial hangs': async () => {
      const client = await RawClient.connect(gateway.port);
      client.write(head('/hung'));
      await eventually(async () => (await gateway.metrics()).sum('ws_active_sessions') === 1);
      client.destroy();
    },
    'the token is a bad one': async () => {
      const peer = await Peer.open(`${gateway.ws}/app`, {
        token: `${issuer.sign({ sub: SUB }).slice(0, -8)}AAAAAAAA`,
      });
      await ended(peer, 1008);
    },
    'the token never comes': async () => ended(await Peer.open(`${gateway.ws}/app`), 1008),
    'the role is missing': async () => ended(await open('/roles'), 1008),
    'the token is revoked': async () => {
      const peer = await open('/app', 'to-be-revoked');
      const body = JSON.stringify({ sub: SUB, jti: 'to-be-revoked' });
      const { status } = await http(`${gateway.http}/admin/revoke`, { method: 'POST', body });
      assert.equal(status, 200);
      await ended(peer, 1008);
    },
    'messages are too many': async () => {
      const peer = await open();
      for (let index = 0; index < 40; index++) peer.send('x');
      await ended(peer, 1008);
    },
    'a message is too large': async () => {
      const peer = await open();
      peer.socket.send(Buffer.alloc(1_048_577));
      await ended(peer, 1009);
    },
    'the handshake asks for the connection to be closed': async () => {
      const wanted = head('/app').replace('Connection: Upgrade', 'Connection: close\r\nConnection: Upgrade');
      const { client, answer } = await exchange(gateway.port, wanted);
      assert.equal(answer?.status, 400);
      client.destroy();
    },
  };

  for (const [name, end] of Object.entries(ENDINGS)) {
    it(name, async () => {
      // Each as often as there are places: any one that stayed taken would be missed.
      for (let times = 0; times < LIMIT + 1; times++) await eventually(end);
      await eventually(async () => (await gateway.metrics()).sum('ws_active_sessions') === 0);
      await eventually(() => upstream.openSockets() === 0);
      // The scrape's own socket takes a moment to go.
      const peers = await Promise.all(Array.from({ length: LIMIT }, () => eventually(() => open())));
      // `uws` counts sessions, not sockets.
      const isUws = (await gateway.listener()) === 'uws';
      await assert.rejects(open(), (error) =>
        isUws ? error instanceof Refused && error.status === 503 : isClosedUnanswered(error),
      );
      for (const peer of peers) assert.equal(peer.socket.readyState, peer.socket.OPEN);
      await Promise.all(peers.map((peer) => peer.close()));
    });
  }
});
