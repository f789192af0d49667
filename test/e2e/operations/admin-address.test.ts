import assert from 'node:assert/strict';
import { copyFile, readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { createServer, type Server } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { makeCertificate } from '../../support/certificate.js';
import { http } from '../../support/clients/http.js';
import { Peer } from '../../support/clients/ws-client.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { type Gateway, runGateway, startGateway } from '../../support/gateway/gateway.js';
import { MetricsText } from '../../support/gateway/metrics-text.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const HANDSHAKE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
};

describe('an address of their own for the endpoints', () => {
  let issuer: Issuer;
  let echo: Upstream;
  before(async () => {
    [issuer, echo] = await Promise.all([startIssuer(), startEcho()]);
  });
  after(async () => {
    await Promise.all([echo.close(), issuer.close()]);
  });

  const start = async (env: Readonly<Record<string, string>>, waitFor?: 'listening') => {
    const port = await freePort();
    const gateway = await startGateway({
      ...(waitFor && { waitFor }),
      env: { JWKS_URL: issuer.jwksUrl, ADMIN_PORT: String(port), ...env },
      routes: [
        { prefix: '/echo', upstream: echo.url },
        { prefix: '/', upstream: echo.url, auth: 'public' },
      ],
    });
    return { gateway, admin: `http://127.0.0.1:${port}` };
  };

  for (const [listener, workers] of [
    ['node', '1'],
    ['node', '2'],
  ] as const) {
    describe(`with LISTENER=${listener}, WORKERS=${workers}`, () => {
      let gateway: Gateway;
      let admin: string;
      before(async () => {
        ({ gateway, admin } = await start({ LISTENER: listener, WORKERS: workers, DISCOVERY: 'true' }));
      });
      after(async () => {
        await gateway.stop();
      });

      it('has all of them there, and speaks for all workers', async () => {
        const peers = await Promise.all(
          Array.from({ length: 4 }, () => Peer.open(`${gateway.ws}/echo`, { token: issuer.sign() })),
        );
        assert.equal((await http(`${admin}/healthz`)).body, 'ok');
        assert.equal((await http(`${admin}/readyz`)).status, 200);
        const metrics = await http(`${admin}/metrics`);
        assert.match(metrics.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
        assert.equal(new MetricsText(metrics.body).sum('ws_active_sessions'), 4);
        const listed = await http(`${admin}/admin/sessions`);
        assert.equal((JSON.parse(listed.body) as { sessions: unknown[] }).sessions.length, 4);
        const revoked = await http(`${admin}/admin/revoke`, {
          method: 'POST',
          body: JSON.stringify({ sub: 'alice', all: true }),
        });
        assert.equal(revoked.status, 200);
        await Promise.all(peers.map((peer) => peer.close()));
      });

      it('has nothing else there', async () => {
        for (const path of ['/', '/echo', '/discovery', '/metrics/x', '/adminx'])
          assert.equal((await http(admin + path)).status, 404, path);
        assert.equal((await http(`${admin}/echo`, { headers: HANDSHAKE })).status, 404);
        assert.equal((await http(`${admin}/metrics`, { method: 'POST', body: 'x' })).status, 405);
        assert.equal((await http(`${admin}/metrics`, { method: 'TRACE' })).status, 501);
      });

      it('leaves health to PORT, and 404 for the rest, whatever the routes say', async () => {
        for (const path of ['/healthz', '/readyz', '/discovery'])
          assert.equal((await http(gateway.http + path)).status, 200, path);
        for (const path of ['/metrics', '/admin', '/admin/sessions', '/admin/ui']) {
          assert.equal((await http(gateway.http + path)).status, 404, path);
          assert.equal((await http(gateway.http + path, { method: 'POST', body: '{}' })).status, 404, path);
          assert.equal((await http(gateway.http + path, { headers: HANDSHAKE })).status, 404, path);
        }
      });
    });
  }

  it('answers however many clients there are, and through the drain', async () => {
    const { gateway, admin } = await start({
      MAX_CONNECTIONS: '1',
      MAX_CONNECTIONS_PER_IP: '1',
      GRACEFUL_DRAIN_TIMEOUT_SECONDS: '20',
    });
    const peer = await eventually(() => Peer.open(`${gateway.ws}/echo`, { token: issuer.sign() }));
    await assert.rejects(http(`${gateway.http}/healthz`));
    for (let probe = 0; probe < 3; probe++) assert.equal((await http(`${admin}/healthz`)).status, 200);
    const ended = gateway.stop();
    await eventually(async () => {
      const { status, body } = await http(`${admin}/readyz`);
      return status === 503 && body === 'draining\n';
    });
    assert.equal((await http(`${admin}/metrics`)).status, 200);
    await peer.close();
    assert.equal((await ended).code, 0);
  });

  it('speaks TLS where PORT does, with a new certificate once the files change', async () => {
    const [first, second] = await Promise.all([makeCertificate('127.0.0.1'), makeCertificate('127.0.0.1')]);
    const { gateway, admin } = await start(
      { TLS_CERT_FILE: first.certFile, TLS_KEY_FILE: first.keyFile },
      'listening',
    );
    const { port } = new URL(admin);
    const probe = (ca: Buffer) =>
      new Promise<number | undefined>((resolve, reject) => {
        request({ host: '127.0.0.1', port, path: '/healthz', ca, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .once('error', reject)
          .end();
      });
    const [old, renewed] = await Promise.all([readFile(first.certFile), readFile(second.certFile)]);
    assert.equal(await eventually(() => probe(old)), 200);
    await assert.rejects(http(`${admin}/healthz`));
    await assert.rejects(probe(renewed));
    await copyFile(second.keyFile, first.keyFile);
    await copyFile(second.certFile, first.certFile);
    assert.equal(await eventually(() => probe(renewed)), 200);
    await assert.rejects(probe(old));
    await gateway.stop();
    await Promise.all([first.remove(), second.remove()]);
  });

  it('is none where it is that of the clients', async () => {
    const gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl, HOST: '127.0.0.1', ADMIN_HOST: '127.0.0.1' },
      routes: [{ prefix: '/echo', upstream: echo.url }],
    });
    for (const path of ['/metrics', '/admin/sessions'])
      assert.equal((await http(gateway.http + path)).status, 200, path);
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign() });
    await peer.close();
    await gateway.stop();
  });

  it('that is taken is an error at the start, which names it', async () => {
    const taken: Server = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    after(() => taken.close());
    const { port } = taken.address() as { port: number };
    for (const WORKERS of ['1', '2']) {
      const { code, stdout, stderr } = await runGateway({
        env: { JWKS_URL: issuer.jwksUrl, ADMIN_PORT: String(port), WORKERS },
        routes: [{ prefix: '/echo', upstream: echo.url }],
      });
      assert.equal(code, 1);
      assert.match(
        stdout + stderr,
        new RegExp(`ADMIN_HOST, ADMIN_PORT: cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use`),
      );
    }
  });
});
