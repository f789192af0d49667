import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type Certificate, makeCertificate } from '../../support/certificate.js';
import { handshakeHead, RawClient } from '../../support/clients/raw-client.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';
import { MetricsText } from '../../support/gateway/metrics-text.js';
import { startEcho, type Upstream } from '../../support/upstreams/upstream.js';

const LARGE = 150_000_000;
const PATTERN = Buffer.alloc(
  LARGE,
  Buffer.from(Uint32Array.from({ length: 250_007 }, (_, index) => index).buffer),
);

/** Each way a connection can come in. */
const WAYS = {
  'TCP on handles': {},
  'TCP on streams': {
    NODE_OPTIONS: `--require ${fileURLToPath(new URL('../../support/gateway/without-handles.cjs', import.meta.url))}`,
  },
  TLS: {},
} as const;

for (const [way, env] of Object.entries(WAYS))
  describe(`a connection with many requests, ${way}`, () => {
    let upstream: Server;
    let echo: Upstream;
    let gateway: Gateway;
    let certificate: Certificate | undefined;
    /** Requests that the upstream has heard, and their answers. */
    const asked: { request: IncomingMessage; response: ServerResponse }[] = [];
    before(async () => {
      upstream = createServer((request, response) => {
        asked.push({ request, response });
        answer(request, response);
      });
      upstream.listen(0, '127.0.0.1');
      await once(upstream, 'listening');
      echo = await startEcho();
      certificate = way === 'TLS' ? await makeCertificate('localhost') : undefined;
      const tls = certificate && { TLS_CERT_FILE: certificate.certFile, TLS_KEY_FILE: certificate.keyFile };
      gateway = await startGateway({
        env: { ...env, ...tls, JWT_EXPECTED_ISSUER: 'https://issuer.example' },
        routes: [
          {
            prefix: '/t',
            upstream: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
            auth: 'public',
          },
          { prefix: '/closed', upstream: 'http://127.0.0.1:1', auth: 'required' },
          { prefix: '/said', respond: { status: 200, body: 'said' }, auth: 'public' },
          { prefix: '/files', files: fileURLToPath(new URL('../../..', import.meta.url)), auth: 'public' },
          { prefix: '/ws', upstream: echo.url, auth: 'public' },
        ],
        waitFor: way === 'TLS' ? 'listening' : 'alive',
      });
    });
    after(async () => {
      await gateway.stop();
      upstream.closeAllConnections();
      upstream.close();
      await echo.close();
      await certificate?.remove();
    });
    afterEach(() => {
      for (const { response } of asked.splice(0)) response.destroy();
    });

    const dial = async (): Promise<Socket> => {
      const { port } = gateway;
      if (certificate === undefined) {
        const socket = connectTcp(port, '127.0.0.1');
        await once(socket, 'connect');
        return socket;
      }
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      return socket;
    };
    const connect = async (): Promise<RawClient> => new RawClient(await dial());

    const noneInFlight = (): Promise<boolean> =>
      eventually(async () => {
        const client = await connect();
        client.write('GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
        await client.closed;
        const [, body = ''] = client.take().split('\r\n\r\n');
        return new MetricsText(body).sum('http_requests_in_flight') === 0;
      });

    it('has them answered in order, however they come', async () => {
      const client = await connect();
      const requests = [
        'GET /t/one HTTP/1.1\r\nHost: h\r\n\r\n',
        'GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n',
        'GET /t/chunked HTTP/1.1\r\nHost: h\r\n\r\n',
        'HEAD /t/one HTTP/1.1\r\nHost: h\r\n\r\n',
        'GET /said HTTP/1.1\r\nHost: h\r\n\r\n',
        'DELETE /t/empty HTTP/1.1\r\nHost: h\r\n\r\n',
        'GET /closed HTTP/1.1\r\nHost: h\r\n\r\n',
      ].join('');
      const expected = ['200', '404', '200', '200', '200', '204', '401'];
      // One after another, each in two pieces, all at once, and byte by byte.
      for (const length of [40, requests.length, 1]) {
        for (let at = 0; at < requests.length; at += length) client.write(requests.slice(at, at + length));
        await eventually(() => statuses(client).length === expected.length);
        assert.deepEqual(statuses(client), expected);
        const text = client.take();
        assert.match(text, /\r\n\r\none .*said.*ERR_TOKEN_MISSING"\}\n$/s);
        assert.match(text, /\r\n\r\n5\r\nbegin\r\n3\r\nend\r\n0\r\nX-Sum: 42\r\n\r\nHTTP/);
        assert.doesNotMatch(text, /Connection: close/i);
      }
      client.destroy();
    });

    it('may turn to bodies, to a probe and to a WebSocket', async () => {
      const client = await connect();
      client.write(
        'GET /t/one HTTP/1.1\r\nHost: h\r\n\r\nPOST /t/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello',
      );
      await eventually(() => client.received.toString().endsWith('hello\r\n0\r\n\r\n'));
      client.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /t/one HTTP/1.1\r\nHost: h\r\n\r\n');
      await eventually(() => statuses(client).length === 4);
      assert.deepEqual(statuses(client), ['200', '200', '200', '200']);
      client.destroy();
      const other = await connect();
      other.write('GET /t/one HTTP/1.1\r\nHost: h\r\n\r\n');
      await eventually(() => statuses(other).length === 1);
      other.take();
      other.write(handshakeHead(gateway.port, '/ws'));
      assert.equal((await other.readHead())?.status, 101);
      other.frame(1, 'hello');
      for await (const frame of other.frames()) {
        assert.equal(frame.payload.toString(), 'hello');
        break;
      }
      other.destroy();
    });

    it('has nothing read into it but what came', async () => {
      const client = await connect();
      client.write('GET /t/one HTTP/1.1\r\nHost: h\r\n\r\nhello');
      await eventually(() => statuses(client).length === 1);
      client.write(' world HTTP/1.1\r\nHost: h\r\n\r\n');
      await client.closed;
      // "hello world" is a request of a method that nobody knows.
      assert.deepEqual(statuses(client), ['200', '400']);
      assert.equal(asked.length, 1);
    });

    it('takes hundreds at once', async () => {
      const client = await connect();
      const count = 600;
      client.write(
        'GET /t/one HTTP/1.1\r\nHost: h\r\nX-Long: '.concat('x'.repeat(100), '\r\n\r\n').repeat(count),
      );
      await eventually(() => statuses(client).length === count);
      assert.equal(asked.length, count);
      client.destroy();
    });

    it('has those in order that are answered at once, wherever reads cut them', async () => {
      const client = await connect();
      const count = 1_000;
      const requests = Array.from(
        { length: count },
        (_, index) => `GET /${index % 3 === 0 ? 'said' : `nowhere/${index}`} HTTP/1.1\r\nHost: h\r\n\r\n`,
      ).join('');
      for (let at = 0; at < requests.length; at += 1_000) {
        client.write(requests.slice(at, at + 1_000));
        await new Promise(setImmediate);
      }
      await eventually(() => statuses(client).length >= count || client.socket.closed);
      assert.deepEqual(
        statuses(client),
        Array.from({ length: count }, (_, index) => (index % 3 === 0 ? '200' : '404')),
      );
      client.destroy();
    });

    it('ends where the client says so, and reads on until the client has its answer', async () => {
      const client = await connect();
      client.write(
        `GET /t/one HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /t/two HTTP/1.1\r\nHost: h\r\n\r\n`,
      );
      await once(client.socket, 'end');
      assert.match(client.received.toString(), /^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n.*one $/s);
      assert.equal(asked.length, 1);
      client.destroy();
    });

    it('tells the upstream when the client has gone', async () => {
      for (const leave of ['end', 'destroy'] as const) {
        const client = await connect();
        client.write('GET /t/silent HTTP/1.1\r\nHost: h\r\n\r\n');
        await eventually(() => asked.length === 1);
        const closed = once(asked[0]!.response, 'close');
        client.socket[leave]();
        await closed;
        await eventually(() => client.socket.closed);
        asked.length = 0;
      }
    });

    it('leaves nothing behind of requests that wait for others when the client goes', async () => {
      const client = await connect();
      const rest = ['t/silent', 'said', 'nowhere', 'files/package-lock.json']
        .map((path) => `GET /${path} HTTP/1.1\r\nHost: h\r\n\r\n`)
        .join('');
      client.write(`PUT /t/silent HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx${rest}`);
      await eventually(() => asked.length === 1);
      const closed = once(asked[0]!.response, 'close');
      client.destroy();
      await closed;
      await noneInFlight();
      assert.equal(asked.length, 1);
    });

    it('has one exchange at a time, whatever waits behind a body', async () => {
      const client = await connect();
      const count = 60;
      client.write(
        'PUT /t/silent HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx'.concat(
          'GET /t/silent HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(count),
          'POST /t/silent HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n',
        ),
      );
      for (let next = 0; next <= count; next++) {
        await eventually(() => asked.length > next);
        assert.equal(asked.length, next + 1);
        asked[next]?.response.end();
      }
      await client.closed;
      assert.deepEqual(statuses(client), [...Array<string>(count + 1).fill('200'), '400']);
      assert.equal(asked.length, count + 1);
    });

    it('is cut off by thousands of requests behind one that has no answer', async () => {
      const client = await connect();
      client.write('PUT /t/silent HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx');
      await eventually(() => asked.length === 1);
      client.write('GET /t/one HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(5_000));
      await client.closed;
      assert.equal(client.received.length, 0);
      assert.equal(asked.length, 1);
      await noneInFlight();
    });

    it('is cut where the answer breaks off', async () => {
      for (const path of ['/t/broken', '/t/broken-chunks']) {
        const client = await connect();
        client.write(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
        await client.closed;
        assert.match(client.received.toString(), /begin(\r\n)?$/);
      }
    });

    it('holds an answer back for a client that does not read, and loses nothing of it', async () => {
      const socket = await dial();
      const before = await gateway.rssBytes();
      socket.write('GET /t/large HTTP/1.1\r\nHost: h\r\n\r\nGET /t/one HTTP/1.1\r\nHost: h\r\n\r\n');
      await eventually(() => asked.length === 1);
      // Until nothing moves any more, wherever it waits.
      let last = -1;
      await eventually(async () => {
        const sent = asked[0]?.response.socket?.bytesWritten ?? 0;
        const isStill = sent === last;
        last = sent;
        await pause(100);
        return isStill;
      });
      assert.ok((await gateway.rssBytes()) - before < 30_000_000);
      assert.equal(asked.length, 1);
      let at = -1;
      let end = '';
      socket.on('data', (bytes: Buffer) => {
        const body = at < 0 ? bytes.subarray(bytes.indexOf('\r\n\r\n') + 4) : bytes;
        at = Math.max(at, 0);
        const mine = body.subarray(0, LARGE - at);
        assert.ok(mine.equals(patternAt(at, mine.length)), `other bytes from ${at} on`);
        at += mine.length;
        end = (end + body.toString('latin1', mine.length)).slice(-4);
      });
      await eventually(() => end === 'one ', 120_000);
      assert.equal(at, LARGE);
      socket.destroy();
    });

    it('is closed where it waits for a request while the gateway ends', async () => {
      const own = await startGateway({
        env: { ...env, JWT_EXPECTED_ISSUER: 'https://issuer.example', GRACEFUL_DRAIN_TIMEOUT_SECONDS: '1' },
        routes: [{ prefix: '/said', respond: { status: 200, body: 'said' }, auth: 'public' }],
        waitFor: 'alive',
      });
      const idle = await RawClient.connect(own.port);
      idle.write('GET /said HTTP/1.1\r\nHost: h\r\n\r\n');
      await eventually(() => statuses(idle).length === 1);
      const stopped = own.stop();
      await idle.closed;
      assert.equal((await stopped).code, 0);
    });
  });

/** A part of a long text that looks different everywhere. */
function patternAt(at: number, length: number): Buffer {
  return PATTERN.subarray(at, at + length);
}

function statuses(client: RawClient): string[] {
  return [...client.received.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(
    ([, status = '']) => status,
  );
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  switch (request.url) {
    case '/one':
      return void response.writeHead(200, { 'Content-Length': 4 }).end('one ');
    case '/empty':
      return void response.writeHead(204).end();
    case '/echo':
      return void request.pipe(response);
    case '/chunked':
      response.writeHead(200, { Trailer: 'X-Sum' });
      response.write('begin');
      response.addTrailers({ 'X-Sum': '42' });
      return void setImmediate(() => response.end('end'));
    case '/broken':
      response.writeHead(200, { 'Content-Length': 10 });
      return void response.write('begin', () => response.destroy());
    case '/broken-chunks':
      return void response.write('begin', () => response.destroy());
    case '/large':
      return void response.writeHead(200, { 'Content-Length': LARGE }).end(patternAt(0, LARGE));
    default:
  }
}
