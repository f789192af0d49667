import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { reset } from '../../../internal/runtime/tcp-reset.js';
import { makeCertificate } from '../../support/certificate.js';
import { http } from '../../support/clients/http.js';
import { eventually } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';

const LARGE = 50_000_000;

/** An upstream that does what the first segment of the path says, and hears how its requests end. */
class Upstream {
  readonly #server: Server = createServer((socket) => this.#take(socket));
  readonly sockets = new Set<Socket>();
  /** Requests whose body came to its end. */
  whole = 0;

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  #take(socket: Socket): void {
    this.sockets.add(socket);
    let heard = '';
    socket
      .on('error', () => {})
      .on('close', () => this.sockets.delete(socket))
      .on('data', (chunk: Buffer) => {
        const isNew = !heard.includes('\r\n\r\n');
        heard = (heard + chunk.toString('latin1')).slice(isNew ? 0 : -20);
        if (heard.endsWith('\r\n0\r\n\r\n')) this.whole++;
        if (isNew && heard.includes('\r\n\r\n')) answer(socket, /^\w+ \/([\w-]*)/.exec(heard)?.[1] ?? '');
      });
  }
}

function answer(socket: Socket, what: string): void {
  const head = 'HTTP/1.1 200 OK\r\n';
  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`;
  const half = `${head}Content-Length: 10\r\n\r\nhalf`;
  switch (what) {
    case 'drop':
      return void socket.destroy();
    case 'reset':
      return void socket.resetAndDestroy();
    case 'whole':
      return void socket.end(`${chunked}5\r\nwhole\r\n0\r\n\r\n`);
    case 'in-head':
      return void socket.end(`${head}X-A: b`);
    case 'in-body':
      return void socket.end(half);
    case 'one-short':
      return void socket.end(`${head}Content-Length: 10\r\n\r\n123456789`);
    case 'in-chunk':
      return void socket.end(`${chunked}a\r\n123`);
    case 'between-chunks':
      return void socket.end(`${chunked}4\r\nhalf\r\n`);
    case 'before-last-line':
      return void socket.end(`${chunked}4\r\nhalf\r\n0\r\n`);
    case 'bad-chunk':
      return void socket.write(`${chunked}4\r\nhalf\r\nzz\r\n`);
    case 'reset-in-body':
      socket.write(half);
      return void setTimeout(() => reset(socket), 20);
    case 'flood':
      socket.write(`${head}Content-Length: ${LARGE}\r\n\r\n`);
      return void socket.write(Buffer.alloc(LARGE));
    case 'begin':
      return void socket.write(`${chunked}5\r\nbegin\r\n`);
    default:
  }
}

describe('an exchange that breaks off', () => {
  const upstream = new Upstream();
  let gateway: Gateway;
  before(async () => {
    await upstream.listen();
    gateway = await startGateway({
      env: { JWT_EXPECTED_ISSUER: 'https://issuer.example' },
      routes: [{ prefix: '/t', upstream: upstream.url, auth: 'public', maxBodyBytes: 0 }],
      waitFor: 'alive',
    });
  });
  after(async () => {
    await gateway.stop();
    upstream.close();
  });

  /** Nothing is left of it on either side. */
  const quiet = () =>
    eventually(async () => {
      const metrics = await gateway.metrics();
      return metrics.sum('http_requests_in_flight') === 0 && upstream.sockets.size === 0;
    });

  for (const what of ['drop', 'reset', 'in-head'])
    it(`upstream before its answer (${what}) is 502`, async () => {
      for (const method of ['GET', 'POST'])
        assert.equal(
          (await http(`${gateway.http}/t/${what}`, { method, ...(method === 'POST' ? { body: 'x' } : {}) }))
            .status,
          502,
          method,
        );
      await quiet();
    });

  for (const what of [
    ...[
      'in-body',
      'one-short',
      'in-chunk',
      'between-chunks',
      'before-last-line',
      'bad-chunk',
      'reset-in-body',
    ],
  ])
    it(`upstream in its answer (${what}) never looks whole to the client`, async () => {
      await assert.rejects(http(`${gateway.http}/t/${what}`), what);
      const heard = await say(`GET /t/${what} HTTP/1.1\r\nHost: h\r\n\r\n`);
      assert.match(heard, /^HTTP\/1\.1 200 /);
      assert.doesNotMatch(heard, /\r\n0\r\n\r\n$/);
      // HTTP/1.0 knows the end by the connection's, which must not be a good one. (Node.js does not tell a
      // reset behind the last bytes from an end.)
      const old = spawn('curl', ['-0', '-sS', '-o', '/dev/null', `${gateway.http}/t/${what}`]);
      assert.notEqual((await once(old, 'close'))[0], 0, what);
      await quiet();
    });

  it('upstream in its answer is not whole to HTTP/1.0 under TLS either', async () => {
    const { certFile, keyFile, remove } = await makeCertificate('127.0.0.1');
    const secure = await startGateway({
      env: { JWT_EXPECTED_ISSUER: 'https://issuer.example', TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile },
      routes: [{ prefix: '/t', upstream: upstream.url, auth: 'public' }],
      waitFor: 'listening',
    });
    // CURLE_PARTIAL_FILE and CURLE_RECV_ERROR, and nothing of TLS.
    for (const [what, exits] of [
      ['whole', [0]],
      ['in-body', [18, 56]],
      ['between-chunks', [56]],
      ['reset-in-body', [18, 56]],
    ] as const) {
      const url = `https://127.0.0.1:${secure.port}/t/${what}`;
      const old = spawn('curl', ['-0', '-k', '-sS', '-o', '/dev/null', url]);
      const [exit] = (await once(old, 'close')) as [(typeof exits)[number]];
      assert.ok((exits as readonly number[]).includes(exit), `${what}: ${exit}`);
    }
    assert.equal((await secure.stop()).code, 0);
    await remove();
  });

  const upload = 'POST /t/hold HTTP/1.1\r\nHost: h\r\n';
  for (const [stage, pieces] of [
    ['in its head', ['GET /t/begin HTTP/1.1\r\nHos']],
    ['before the answer', ['GET /t/hold HTTP/1.1\r\nHost: h\r\n\r\n']],
    ['in the answer', ['GET /t/begin HTTP/1.1\r\nHost: h\r\n\r\n']],
    ['in an answer that it does not read', ['GET /t/flood HTTP/1.1\r\nHost: h\r\n\r\n']],
    ['in an upload by length', [`${upload}Content-Length: 10\r\n\r\n`, '12345']],
    ['one byte short of an upload', [`${upload}Content-Length: 10\r\n\r\n`, '123456789']],
    ['in a chunk', [`${upload}Transfer-Encoding: chunked\r\n\r\n`, 'a\r\n12345']],
    ['between chunks', [`${upload}Transfer-Encoding: chunked\r\n\r\n`, '5\r\n12345\r\n']],
    ['in the last chunk', [`${upload}Transfer-Encoding: chunked\r\n\r\n`, '5\r\n12345\r\n0\r\n']],
    ['that waits for 100', [`${upload}Content-Length: 10\r\nExpect: 100-continue\r\n\r\n`]],
  ] as const)
    for (const manner of ['end', 'reset'] as const)
      it(`client ${stage} (${manner}) is no whole request to the upstream, and leaves nothing behind`, async () => {
        const before = upstream.whole;
        const client = connect(gateway.port, '127.0.0.1').on('error', () => {});
        for (const [index, piece] of pieces.entries()) {
          client.write(piece);
          // Where there is an upstream to it, it has been reached.
          if (index === 0 && stage !== 'in its head') await eventually(() => upstream.sockets.size > 0);
        }
        if (stage === 'in the answer') await once(client, 'data');
        if (manner === 'reset') reset(client);
        else client.destroy();
        await quiet();
        assert.equal(upstream.whole, before);
      });

  it('does not keep descriptors', async () => {
    await quiet();
    const before = await gateway.fdCount();
    await Promise.all(
      Array.from({ length: 50 }, async (_, at) => {
        const client = connect(gateway.port, '127.0.0.1').on('error', () => {});
        client.write(`GET /t/${['begin', 'hold', 'in-body', 'drop'][at % 4]} HTTP/1.1\r\nHost: h\r\n\r\n`);
        await new Promise((resolve) => setTimeout(resolve, at));
        client.destroy();
      }),
    );
    await quiet();
    await eventually(async () => (await gateway.fdCount()) <= before + 2);
  });

  /** Says something, and hears what comes until the connection ends. */
  async function say(text: string): Promise<string> {
    const socket = connect(gateway.port, '127.0.0.1').on('error', () => {});
    let heard = '';
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    socket.write(text);
    await new Promise((resolve) => socket.once('close', resolve));
    return heard;
  }
});
