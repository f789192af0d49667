import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { handshakeHead, RawClient } from '../../support/clients/raw-client.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway/gateway.js';
import { assertQuiet } from '../../support/gateway/quiet.js';
import { REVOKED } from '../../support/gateway/replicas.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startRawUpstream } from '../../support/upstreams/raw-upstream.js';
import { startEcho, startUpstream } from '../../support/upstreams/upstream.js';

/** A JWKS endpoint that can keep its callers waiting. */
class HeldKeys {
  hold = false;
  readonly waiting: ServerResponse[] = [];
  readonly #server = createServer((_request, response) => {
    if (this.hold) this.waiting.push(response);
    else this.#answer(response);
  });

  constructor(readonly issuer: Issuer) {}

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/jwks`;
  }

  release(): void {
    this.hold = false;
    for (const response of this.waiting.splice(0)) this.#answer(response);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #answer(response: ServerResponse): void {
    response
      .setHeader('content-type', 'application/json')
      .end(JSON.stringify({ keys: this.issuer.published }));
  }
}

describe('a revocation', () => {
  it('that comes while the token is being verified keeps the client out', async () => {
    const issuer = await startIssuer();
    const keys = new HeldKeys(issuer);
    const echo = await startEcho();
    const gateway = await startGateway({
      env: { JWKS_URL: await keys.listen() },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
    try {
      // A key the gateway has not seen makes it fetch before it can verify.
      await issuer.addKey('RS256');
      keys.hold = true;
      const token = issuer.sign({ sub: 'ann', jti: 'race' });
      const peer = await Peer.open(`${gateway.ws}/echo`);
      peer.send(token);
      await eventually(() => keys.waiting.length > 0);
      const { body } = await revoke(gateway.http, { sub: 'ann', jti: 'race' });
      assert.equal((JSON.parse(body) as { sessionsClosed: number }).sessionsClosed, 0);
      keys.release();
      assert.deepEqual(await peer.ended(), REVOKED);
      assert.equal(echo.sessions.length, 0, 'nothing was dialled');
      await assertQuiet(gateway, { upstreams: [echo] });
    } finally {
      await gateway.stop();
      await Promise.all([keys.close(), echo.close(), issuer.close()]);
    }
  });

  it('that comes while the upstream is being dialled ends the session', async () => {
    const issuer = await startIssuer();
    const silent = await startRawUpstream(() => {});
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WS_DIAL_TIMEOUT_SECONDS: '60' },
      routes: [{ prefix: '/echo', upstream: silent.url }],
    });
    try {
      const peer = await Peer.open(`${gateway.ws}/echo`);
      peer.send(issuer.sign({ sub: 'ann', jti: 'dialing' }));
      await eventually(() => silent.heads.length > 0);
      const { body } = await revoke(gateway.http, { sub: 'ann', jti: 'dialing' });
      assert.equal((JSON.parse(body) as { sessionsClosed: number }).sessionsClosed, 1);
      assert.deepEqual(await peer.ended(), REVOKED);
      await assertQuiet(gateway, { upstreams: [silent] });
    } finally {
      await gateway.stop();
      await Promise.all([silent.close(), issuer.close()]);
    }
  });

  it('closes the upstream of a client that reads nothing at once, and frees the client in time', async () => {
    const issuer = await startIssuer();
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const upstream = await startUpstream({
      onSession: ({ socket }) => {
        const pour = () => {
          if (socket.readyState === socket.OPEN) socket.send(chunk, pour);
        };
        pour();
      },
    });
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, WS_WRITE_TIMEOUT_SECONDS: '600' },
      routes: [{ prefix: '/flood', upstream: upstream.url }],
    });
    try {
      const peer = await Peer.open(`${gateway.ws}/flood`, {
        token: issuer.sign({ sub: 'ann', jti: 'stuck' }),
      });
      peer.socket.pause();
      await eventually(async () => {
        const metrics = await gateway.metrics();
        return metrics.sum('ws_backpressure_total', { direction: 'upstream_to_client' }) > 0;
      }, 30_000);
      const descriptors = await gateway.fdCount();
      const { status } = await revoke(gateway.http, { sub: 'ann', jti: 'stuck' });
      assert.equal(status, 200);
      assert.equal((await (await upstream.session(0)).ended()).code, 1001);
      // The client's buffer never empties: its connection is dropped when the control timeout is over.
      await eventually(async () => (await gateway.fdCount()) <= descriptors - 2, 30_000);
      peer.socket.resume();
      await peer.ended();
      await assertQuiet(gateway, { upstreams: [upstream] });
    } finally {
      await gateway.stop();
      await Promise.all([upstream.close(), issuer.close()]);
    }
  });
});

describe('T-03: a session whose upstream has ended while bytes wait for a slow client', () => {
  for (const way of ['a revocation', 'DELETE'] as const)
    it(`ends at once by ${way}, is counted by it, and frees its place`, async () => {
      const issuer = await startIssuer();
      const upstream = await startUpstream({
        onSession: ({ socket }) => {
          // Twice what the kernel takes for a client that reads nothing.
          for (let sent = 0; sent < 8192; sent++) socket.send(Buffer.alloc(1024, 'x'));
          socket.close(4000, 'bye');
        },
      });
      const gateway = await startGateway({
        env: { JWKS_URL: issuer.jwksUrl, MAX_CONNECTIONS_PER_SUB: '1', MAX_BUFFERED_BYTES: '16777216' },
        routes: [{ prefix: '/', upstream: upstream.url }],
      });
      const token = issuer.sign({ sub: 'ann', jti: 'slow' });
      const client = await RawClient.connect(gateway.port);
      try {
        client.socket.pause();
        client.write(handshakeHead(gateway.port, '/', [`Authorization: Bearer ${token}`]));
        const listed = async () =>
          (
            JSON.parse((await http(`${gateway.http}/admin/sessions`)).body) as {
              sessions: { id: string; state: string }[];
            }
          ).sessions;
        const session = await eventually(
          async () => (await listed()).find(({ state }) => ['open', 'closing'].includes(state)) ?? false,
        );
        if (way === 'DELETE') {
          const { status } = await http(`${gateway.http}/admin/sessions/${session.id}`, { method: 'DELETE' });
          assert.equal(status, 200);
        } else {
          const { body } = await revoke(gateway.http, { sub: 'ann', jti: 'slow' });
          assert.equal((JSON.parse(body) as { sessionsClosed: number }).sessionsClosed, 1);
        }
        await eventually(async () => (await listed()).length === 0);
        const next = await Peer.open(`${gateway.ws}/`, { token: issuer.sign({ sub: 'ann', jti: 'next' }) });
        assert.equal((await next.ended()).code, 4000);
      } finally {
        client.destroy();
        await gateway.stop();
        await Promise.all([upstream.close(), issuer.close()]);
      }
    });
});

function revoke(url: string, target: object) {
  return http(`${url}/admin/revoke`, { method: 'POST', body: JSON.stringify(target) });
}
