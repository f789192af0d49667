import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { parse } from 'yaml';
import { type Certificate, makeCertificate } from '../../support/certificate.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { type FrontProxy, startHaproxy, startNginx } from '../../support/servers/front-proxy.js';
import { type Issuer, startIssuer } from '../../support/servers/issuer.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

/** Status of a GET by way of the proxy. */
function statusOf(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const get = request({ port, path, rejectUnauthorized: false, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    get.on('error', reject).end();
  });
}

describe('the proxies of examples/', () => {
  let certificate: Certificate;
  let issuer: Issuer;
  let echo: Upstream;
  let gateway: Gateway;

  before(async () => {
    [certificate, issuer, echo] = await Promise.all([
      makeCertificate('localhost'),
      startIssuer(),
      startEcho(),
    ]);
    gateway = await startGateway({
      env: { JWKS_URL: issuer.jwksUrl },
      routes: [
        { prefix: '/hello', respond: { status: 200, body: 'hello' }, auth: 'public' },
        { prefix: '/', upstream: echo.url },
      ],
    });
  });
  after(async () => {
    await gateway.stop();
    await Promise.all([echo.close(), issuer.close(), certificate.remove()]);
  });
  afterEach(() => echo.reset());

  for (const [name, start] of [
    ['nginx', startNginx],
    ['HAProxy', startHaproxy],
  ] as const) {
    describe(name, () => {
      let proxy: FrontProxy;
      before(async () => {
        proxy = await start(gateway.port, certificate);
        // Until its health check has found the gateway.
        await eventually(async () => assert.equal(await statusOf(proxy.port, '/hello'), 200), 30_000);
      });
      after(() => proxy.stop());

      it('passes WebSockets on, of the page that the gateway is behind, and believes nothing the client says', async () => {
        const socket = new WebSocket(`wss://localhost:${proxy.port}/ws/any`, {
          rejectUnauthorized: false,
          origin: `https://localhost:${proxy.port}`,
          headers: {
            authorization: `Bearer ${issuer.sign({ sub: 'ann' })}`,
            'x-forwarded-for': '203.0.113.9',
            'x-forwarded-host': 'evil.example',
            'x-request-id': 'forged',
          },
        });
        await once(socket, 'open');
        socket.send('hi');
        const [hello] = await once(socket, 'message');
        assert.equal(String(hello), 'hi');
        const session = await echo.session();
        assert.deepEqual(
          ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-user-id'].map((header) =>
            session.header(header),
          ),
          ['127.0.0.1', 'https', `localhost:${proxy.port}`, 'ann'],
        );
        const requestId = session.header('x-request-id');
        assert.ok(requestId !== undefined && requestId !== 'forged');
        await eventually(() =>
          assert.ok(
            gateway.logs.some((line) => line.msg === 'client accepted' && line.requestId === requestId),
          ),
        );
        session.socket.close(4321, 'bye');
        const [code, reason] = await once(socket, 'close');
        assert.deepEqual([code, String(reason)], [4321, 'bye']);
      });

      it('keeps the pages of strangers and the endpoints of the gateway from clients', async () => {
        const stranger = new WebSocket(`wss://localhost:${proxy.port}/ws/any`, {
          rejectUnauthorized: false,
          origin: 'https://evil.example',
        });
        stranger.on('error', () => {});
        const [, answer] = await once(stranger, 'unexpected-response');
        assert.equal(answer.statusCode, 403);
        stranger.terminate();
        for (const path of ['/metrics', '/admin/sessions', '/admin/ui', '/admin', '/%61dmin/sessions'])
          assert.equal(await statusOf(proxy.port, path), 404, path);
      });
    });
  }

  it('Traefik’s configuration keeps the endpoints of the gateway from clients, and asks whether it drains', async () => {
    const file = fileURLToPath(new URL('../../../examples/traefik/ws-gateway.yaml', import.meta.url));
    const { http } = parse(await readFile(file, 'utf8'));
    assert.match(http.routers['ws-gateway'].rule, /!PathPrefix\(`\/admin`\) && !PathPrefix\(`\/metrics`\)/);
    assert.equal(http.services['ws-gateway'].loadBalancer.healthCheck.path, '/readyz');
  });
});
