import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { makeCertificate } from '../../support/certificate.js';
import { eventually, within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';

/** A client that says what it likes and keeps what it hears. */
class Client {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  heard = '';

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1').on('error', () => {});
    this.socket.setNoDelay(true);
    this.closed = once(this.socket, 'close');
    this.socket.on('data', (chunk: Buffer) => {
      this.heard += chunk.toString('latin1');
    });
  }

  say(text: string): void {
    this.socket.write(text);
  }

  async hears(what: RegExp): Promise<void> {
    await eventually(() => what.test(this.heard) || (this.socket.closed && assert.fail(this.heard)));
  }
}

describe('an answer before the end of its request', () => {
  let gateway: Gateway;
  let server: Server;
  let secure: Server;
  let whole = 0;
  let open = 0;
  const connections = new Set<number | undefined>();

  function answer(request: IncomingMessage, response: ServerResponse): void {
    request.on('error', () => {}).on('end', () => whole++);
    connections.add(request.socket.remotePort);
    open++;
    response.on('close', () => open--);
    const [, what] = (request.url ?? '').split('/');
    if (what === 'mirror') {
      response.flushHeaders();
      request.pipe(response);
    } else if (what === 'early') {
      response.writeHead(403, { 'Content-Length': 2 });
      response.end('no');
    } else if (what === 'soon') {
      response.writeHead(403);
      response.write('no');
      response.end();
    } else if (what === 'half') {
      response.writeHead(200, { 'Content-Length': 6 });
      response.write('abc');
    } else if (what === 'drop') {
      // What it has not read by then makes a reset of its end (RFC 9112 §9.6).
      response.writeHead(413, { 'Content-Length': 2, Connection: 'close' });
      response.end('no', () => request.socket.destroy());
    } else request.resume().on('end', () => response.end('ok'));
  }

  before(async () => {
    server = createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { certFile, keyFile, remove } = await makeCertificate('127.0.0.1');
    secure = createSecureServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, answer);
    await once(secure.listen(0, '127.0.0.1'), 'listening');
    await remove();
    const at = (listening: Server) => `127.0.0.1:${(listening.address() as AddressInfo).port}`;
    const upstream = `http://${at(server)}`;
    const free = { auth: 'public', maxBodyBytes: 0 } as const;
    gateway = await startGateway({
      env: { JWT_EXPECTED_ISSUER: 'https://issuer.example' },
      routes: [
        { prefix: '/t', upstream, auth: 'public', maxBodyBytes: 1000 },
        { prefix: '/large', upstream, ...free },
        { prefix: '/secure', upstream: `https://${at(secure)}`, tls: { insecureSkipVerify: true }, ...free },
      ],
      waitFor: 'alive',
    });
  });
  after(async () => {
    await gateway.stop();
    for (const each of [server, secure]) {
      each.closeAllConnections();
      each.close();
    }
  });
  const quiet = () =>
    eventually(async () => open === 0 && (await gateway.metrics()).sum('http_requests_in_flight') === 0);

  const chunked = (what: string, more = '') =>
    `POST /t/${what} HTTP/1.1\r\nHost: h\r\n${more}Transfer-Encoding: chunked\r\n\r\n`;

  it('passes while the rest of the body is on its way, and the connection serves on', async () => {
    const client = new Client(gateway.port);
    for (let times = 0; times < 2; times++) {
      client.heard = '';
      client.say(chunked('mirror'));
      for (const word of ['one', 'two', 'three']) {
        client.say(`${word.length}\r\n${word}\r\n`);
        await client.hears(new RegExp(`\r\n${word}\r\n$`));
      }
      client.say('0\r\n\r\n');
      await client.hears(/\r\n0\r\n\r\n$/);
      assert.match(client.heard, /^HTTP\/1\.1 200 OK\r\n/);
    }
    client.socket.destroy();
    await quiet();
  });

  for (const [framing, body] of [
    ['chunked', '3\r\nabc\r\n'],
    ['by length', 'abc'],
  ] as const)
    it(`is the last on its connections, if nobody wants the rest (${framing})`, async () => {
      const before = whole;
      connections.clear();
      const client = new Client(gateway.port);
      const head =
        framing === 'chunked'
          ? chunked('early')
          : 'POST /t/early HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n';
      client.say(head + body);
      await within(client.closed, 'the end of the connection');
      assert.match(client.heard, /^HTTP\/1\.1 403 Forbidden\r\n.*Connection: close\r\n.*\r\nno$/s);
      const next = new Client(gateway.port);
      next.say('GET /t/next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
      await within(next.closed, 'the end of the connection');
      assert.match(next.heard, /^HTTP\/1\.1 200 /);
      assert.equal(connections.size, 2);
      await quiet();
      // That of `next`.
      assert.equal(whole, before + 1);
    });

  describe('of which nobody knew that it would be over by then', () => {
    const answered = /^HTTP\/1\.1 403 Forbidden\r\n.*\r\n2\r\nno\r\n0\r\n\r\n$/s;

    async function answeredSoon(): Promise<Client> {
      const client = new Client(gateway.port);
      client.say(`${chunked('soon')}3\r\nabc\r\n`);
      await client.hears(answered);
      assert.doesNotMatch(client.heard, /Connection: close/);
      return client;
    }

    it('has the rest dropped, and the connection serves on behind it', async () => {
      const client = await answeredSoon();
      client.say('5\r\nrest.\r\n0\r\n\r\nGET /t/next HTTP/1.1\r\nHost: h\r\n\r\n');
      await client.hears(/\r\n0\r\n\r\nHTTP\/1\.1 200 OK\r\n.*\r\n\r\nok$/s);
      client.socket.destroy();
      await quiet();
    });

    it('is the last on its connection, if the rest does not come', async () => {
      const client = await answeredSoon();
      await within(client.closed, 'the end of the connection');
      assert.match(client.heard, answered);
    });

    it('is the last on its connection, if the rest is malformed', async () => {
      const client = await answeredSoon();
      client.say('zz\r\n\r\nGET /t/next HTTP/1.1\r\nHost: h\r\n\r\n');
      await within(client.closed, 'the end of the connection');
      assert.match(client.heard, answered);
    });
  });

  for (const [over, prefix] of [
    ['TCP', '/large'],
    ['TLS', '/secure'],
  ] as const)
    it(`arrives although the upstream resets the connection behind it, over ${over}`, async () => {
      for (let times = 0; times < 10; times++) {
        const client = new Client(gateway.port);
        client.say(`POST ${prefix}/drop HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n`);
        client.socket.write(Buffer.alloc(5_000_000));
        await client.hears(/^HTTP\/1\.1 413 .*\r\n\r\nno$/s);
        // All of the request may have found room on its way: then the connection would stay.
        client.socket.destroy();
      }
      await quiet();
    });

  for (const [what, rest, answered] of [
    ['is too large', `400\r\n${'x'.repeat(1024)}\r\n0\r\n\r\n`, 'mirror'],
    ['is malformed', 'zz\r\n', 'mirror'],
    ['is malformed, and the answer has a length', 'zz\r\n', 'half'],
    ['is malformed in its trailers', '0\r\nX y\r\n\r\n', 'mirror'],
  ] as const)
    it(`is cut when the rest ${what}`, async () => {
      const before = whole;
      const client = new Client(gateway.port);
      client.say(`${chunked(answered)}3\r\nabc\r\n`);
      await client.hears(/\r\nabc(\r\n)?$/);
      client.say(rest);
      await within(client.closed, 'the end of the connection');
      assert.doesNotMatch(client.heard, /\r\n0\r\n\r\n$|HTTP\/1\.1 4/);
      await quiet();
      assert.equal(whole, before);
    });

  it('ends when its client goes away', async () => {
    const before = whole;
    const client = new Client(gateway.port);
    client.say(`${chunked('mirror')}3\r\nabc\r\n`);
    await client.hears(/\r\nabc\r\n$/);
    client.socket.end();
    await quiet();
    assert.equal(whole, before);
  });

  it('is not held up by an Expect that nobody needs any more', async () => {
    const client = new Client(gateway.port);
    client.say(chunked('early', 'Expect: 100-continue\r\n'));
    await client.hears(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    client.say('3\r\nabc\r\n0\r\n\r\n');
    await client.hears(/HTTP\/1\.1 403 Forbidden\r\n.*\r\n\r\nno$/s);
    client.socket.destroy();
    await quiet();
  });
});
