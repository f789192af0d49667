import type { TemplatedApp } from 'uWebSockets.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { type AdminHandler, isAdminTarget } from '../../../internal/gateway/admin-endpoint.js';
import type { Body } from '../../../internal/gateway/endpoint.js';
import { HttpEndpoints } from '../../../internal/gateway/endpoints.js';
import { serveEndpoint } from '../../../internal/gateway/uws/endpoint.js';
import { sendAnswer } from '../../../internal/gateway/uws/http-response.js';
import { readHead } from '../../../internal/gateway/uws/request-head.js';
import { uWS } from '../../../internal/gateway/uws/uws.js';
import { Metrics } from '../../../internal/telemetry/metrics/metrics.js';
import { http } from '../../support/clients/http.js';
import { RawClient } from '../../support/clients/raw-client.js';
import { within } from '../../support/eventually.js';

type Request = Parameters<AdminHandler['handle']>[0];

describe('HTTP beside the handshakes', () => {
  let app: TemplatedApp;
  let port = 0;
  let url = '';
  let reason: string | undefined;
  let handle: AdminHandler['handle'];
  const echo: AdminHandler['handle'] = async ({ body }) => ({ status: 200, body: await shown(body) });

  before(async () => {
    const metrics = new Metrics(10);
    metrics.sessions.connections.inc(3);
    const endpoints = new HttpEndpoints(metrics, () => reason, { handle: (call) => handle(call) });
    app = uWS.App();
    app.any('/*', (response, request) => {
      const head = readHead(request, response, false);
      if (!serveEndpoint(endpoints, head, response)) sendAnswer(response, { status: 404 }, { close: true });
    });
    const listening = await new Promise<Parameters<typeof uWS.us_socket_local_port>[0]>((resolve, reject) => {
      app.listen('127.0.0.1', 0, uWS.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) =>
        socket ? resolve(socket) : reject(new Error('cannot listen')),
      );
    });
    port = uWS.us_socket_local_port(listening);
    url = `http://127.0.0.1:${port}`;
  });
  after(() => app.close());

  it('tells life, readiness and metrics to GET, and says why it is not ready', async () => {
    assert.equal((await http(`${url}/healthz`)).body, 'ok');
    reason = undefined;
    assert.equal((await http(`${url}/readyz`)).status, 200);
    reason = 'draining';
    const unready = await http(`${url}/readyz`);
    assert.deepEqual([unready.status, unready.body], [503, 'draining\n']);
    const metrics = await http(`${url}/metrics`);
    assert.match(metrics.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
    assert.match(metrics.body, /^ws_connections_total 3$/m);
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      const refused = await http(url + path, { method: 'POST', body: 'x' });
      assert.equal(refused.status, 405);
      assert.equal(refused.headers.allow, 'GET, HEAD');
    }
    for (const path of ['/healthz/', '/healthz/x', '/HEALTHZ', '/metrics%20'])
      assert.equal((await http(url + path)).status, 404);
  });

  it('answers HEAD with the head alone, so that the next answer on the connection is read right', async () => {
    reason = undefined;
    handle = async () => ({ status: 405, body: '{}' });
    for (const path of ['/healthz', '/readyz', '/metrics', '/admin/x', '/nothing']) {
      const client = await RawClient.connect(port);
      client.write(`HEAD ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
      const head = await client.readHead();
      if (head?.headers.connection === 'close') await within(client.closed, 'end of the connection');
      else {
        client.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n');
        assert.match((await client.readHead())?.head ?? '', /^HTTP\/1\.1 200 /, path);
      }
      client.destroy();
    }
  });

  it('hardens every response and names no server', async () => {
    for (const path of ['/healthz', '/metrics', '/nothing']) {
      const { headers } = await http(url + path);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['x-frame-options'], 'DENY');
      assert.equal(headers.server, undefined);
      assert.equal(headers.uwebsockets, undefined);
    }
  });

  it('hands a request over whole: path, query, repeated headers, peer and body', async () => {
    const seen = new Promise<Request>((resolve) => {
      handle = async (request) => {
        resolve(request);
        await request.body;
        return { status: 202, headers: { 'X-Own': 'yes', 'Content-Type': 'application/json' }, body: '{}' };
      };
    });
    const client = await RawClient.connect(port);
    client.write(
      `PUT /admin/x%2f?a=1&b HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 4\r\n\r\nab`,
    );
    const request = await within(seen, 'request');
    client.write('cd');
    assert.equal(await shown(request.body), 'abcd');
    assert.deepEqual([request.method, request.target, request.query], ['PUT', '/admin/x%2f', 'a=1&b']);
    assert.deepEqual(request.headers.get('x-a'), ['1', '2']);
    assert.equal(request.peer, '127.0.0.1');
    const head = await client.readHead();
    assert.equal(head?.status, 202);
    assert.equal(head?.headers['x-own'], 'yes');
    client.destroy();
  });

  it('takes a request without a body for one with an empty body', async () => {
    handle = echo;
    for (const method of ['GET', 'POST', 'DELETE'])
      assert.equal((await http(`${url}/admin/x`, { method })).body, '');
  });

  it('keeps bodies of up to 64 KiB, however they are cut, and no more', async () => {
    handle = echo;
    const most = 'x'.repeat(65_536);
    assert.equal((await http(`${url}/admin/x`, { method: 'POST', body: most })).body, most);
    assert.equal((await http(`${url}/admin/x`, { method: 'POST', body: `${most}y` })).body, 'too-large');
    const client = await RawClient.connect(port);
    client.write('POST /admin/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n');
    for (const char of 'hello') {
      client.write(char);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await client.readHead())?.status, 200);
    client.destroy();
  });

  it('answers at once, and hangs up, when a body is not worth waiting for', async () => {
    handle = async () => ({ status: 401, body: 'no\n' });
    const client = await RawClient.connect(port);
    client.write('POST /admin/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\nx');
    assert.equal((await client.readHead())?.status, 401);
    await within(client.closed, 'end of the connection');
  });

  it('keeps the connection for probes, and ends it with every other answer', async () => {
    handle = echo;
    const prober = await RawClient.connect(port);
    for (let i = 0; i < 3; i++) {
      prober.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n');
      assert.equal((await prober.readHead())?.status, 200);
    }
    prober.destroy();
    for (const request of ['GET /metrics HTTP/1.1\r\n', 'POST /admin/x HTTP/1.1\r\nContent-Length: 0\r\n']) {
      const client = await RawClient.connect(port);
      client.write(`${request}Host: h\r\n\r\n`);
      assert.equal((await client.readHead())?.status, 200);
      await within(client.closed, 'end of the connection');
    }
  });

  it('survives clients that leave before, during and after their body', async () => {
    const gone: Promise<string>[] = [];
    let arrived: () => void = () => {};
    handle = async ({ body }) => {
      gone.push(shown(body));
      arrived();
      await body;
      await new Promise((resolve) => setImmediate(resolve));
      return { status: 200 };
    };
    for (const rest of ['', 'half', '0123456789']) {
      const here = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const client = await RawClient.connect(port);
      client.write(`POST /admin/x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n${rest}`);
      await within(here, 'request');
      client.socket.resetAndDestroy();
      await once(client.socket, 'close');
    }
    assert.deepEqual(await within(Promise.all(gone), 'bodies'), ['aborted', 'aborted', '0123456789']);
    assert.equal((await http(`${url}/healthz`)).status, 200);
  });

  it('a handler that fails is answered 500, without its words', async () => {
    handle = async () => {
      throw new Error('secret detail');
    };
    const failed = await http(`${url}/admin/x`);
    assert.equal(failed.status, 500);
    assert.doesNotMatch(failed.body, /secret/);
  });

  it('counts as admin what lies below /admin, spelled so', () => {
    for (const target of ['/admin', '/admin/', '/admin/revoke', '/admin/../x'])
      assert.ok(isAdminTarget(target), target);
    for (const target of ['/', '/adminx', '/Admin', '/ws/admin', '//admin', '/%61dmin'])
      assert.ok(!isAdminTarget(target), target);
  });
});

async function shown(body: Promise<Body>): Promise<string> {
  const settled = await body;
  return typeof settled === 'string' ? settled : settled.toString();
}
