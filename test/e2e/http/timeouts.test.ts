import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { http } from '../../support/clients/http.js';
import { eventually, within } from '../../support/eventually.js';
import { type Gateway, startGateway } from '../../support/gateway/gateway.js';

const LARGE = 100_000_000;
const HEAD = 'HTTP/1.1 200 OK\r\n';

/** An upstream that does what the first segment of the path says. */
class Upstream {
  readonly #server: Server = createServer((socket) => this.#take(socket));
  readonly sockets = new Set<Socket>();
  /** Of requests: method and path, as they come. */
  readonly requests: string[] = [];
  heardBytes = 0;

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  #take(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => {}).on('close', () => this.sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      this.heardBytes += chunk.length;
      const [, method, what] = /^([A-Z]+) \/([\w-]*)/.exec(chunk.toString('latin1')) ?? [];
      if (what === undefined) return;
      this.requests.push(`${method} ${what}`);
      this.#answer(socket, what);
    });
  }

  #answer(socket: Socket, what: string): void {
    switch (what) {
      case 'drip': {
        // Every byte a sign of life, and never a head.
        const timer = setInterval(() => socket.write('x'), 50);
        socket.on('close', () => clearInterval(timer)).write(`${HEAD}X-A: `);
        return;
      }
      case 'interim': {
        const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 50);
        socket.on('close', () => clearInterval(timer));
        return;
      }
      case 'begin':
        return void socket.write(`${HEAD}Content-Length: 10\r\n\r\nhalf`);
      case 'chunk':
        return void socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\na\r\nhalf`);
      case 'flood':
        socket.write(`${HEAD}Content-Length: ${LARGE}\r\n\r\n`);
        return void socket.write(Buffer.alloc(LARGE));
      case 'deaf':
        return void socket.pause();
      case 'ok':
        return void socket.write(`${HEAD}Content-Length: 2\r\n\r\nok`);
      default:
    }
  }
}

const ANSWER_MS = 500;

/** However it ends: who still writes when the gateway has had enough is reset, behind the answer. */
async function ended(socket: Socket): Promise<void> {
  await within(new Promise((resolve) => socket.once('close', resolve)), 'the end of the connection', 60_000);
}

describe('a time-out', () => {
  const upstream = new Upstream();
  let gateway: Gateway;
  before(async () => {
    const url = await upstream.listen();
    const route = { upstream: url, auth: 'public', maxBodyBytes: 0 };
    gateway = await startGateway({
      env: { JWT_EXPECTED_ISSUER: 'https://issuer.example' },
      routes: [
        { prefix: '/answer', ...route, timeouts: { answer: ANSWER_MS / 1000 } },
        // Time enough for a busy machine to begin in.
        { prefix: '/idle', ...route, timeouts: { idle: 1.5 } },
      ],
      waitFor: 'alive',
    });
  });
  after(async () => {
    await gateway.stop();
    upstream.close();
  });

  /** Nothing is left of it on either side, and the upstream was asked that often. */
  async function quiet(asked: readonly string[]): Promise<void> {
    await eventually(async () => {
      const metrics = await gateway.metrics();
      return metrics.sum('http_requests_in_flight') === 0 && upstream.sockets.size === 0;
    });
    assert.deepEqual(upstream.requests.splice(0), asked);
  }

  /** What comes back, until the connection ends. */
  async function say(...pieces: readonly string[]): Promise<string> {
    const socket = connect(gateway.port, '127.0.0.1').on('error', () => {});
    let heard = '';
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    for (const piece of pieces) socket.write(piece);
    await ended(socket);
    return heard;
  }

  for (const what of ['drip', 'interim', 'silent'])
    it(`of the answer is 504 though bytes come (${what}), and nothing is asked again`, async () => {
      for (const method of ['GET', 'POST']) {
        const askedMs = performance.now();
        const answer = await http(`${gateway.http}/answer/${what}`, {
          method,
          ...(method === 'POST' && { body: 'body' }),
        });
        assert.equal(answer.status, 504);
        assert.ok(performance.now() - askedMs >= ANSWER_MS, 'before its time');
        assert.equal(JSON.parse(answer.body).code, 'ERR_UPSTREAM_TIMEOUT');
        await quiet([`${method} ${what}`]);
      }
    });

  for (const what of ['begin', 'chunk'])
    it(`in the answer (${what}) cuts it`, async () => {
      const heard = await say(`GET /idle/${what} HTTP/1.1\r\nHost: h\r\n\r\n`);
      assert.match(heard, /^HTTP\/1\.1 200 .*half(\r\n)?$/s);
      await quiet([`GET ${what}`]);
    });

  it('in the answers of many clients is nothing against the upstream, whoever keeps still', async () => {
    for (const [method, more] of [
      ['GET', ''],
      ['POST', 'Content-Length: 10\r\n'],
    ] as const) {
      const clients = Array.from({ length: 5 }, (_, at) => `X-Forwarded-For: 198.51.100.${at + 1}\r\n`);
      const answers = await Promise.all(
        clients.map((from) =>
          say(`${method} /idle/chunk HTTP/1.1\r\nHost: h\r\n${from}${more}\r\n${more === '' ? '' : 'x'}`),
        ),
      );
      for (const heard of answers) assert.match(heard, /^HTTP\/1\.1 200 .*half(\r\n)?$/s);
      await quiet(Array(5).fill(`${method} chunk`));
      assert.equal((await gateway.metrics()).sum('ws_circuit_state'), 0);
    }
  });

  for (const [framing, ...pieces] of [
    ['by length', 'Content-Length: 10\r\n\r\n', '12345'],
    ['chunked', 'Transfer-Encoding: chunked\r\n\r\n', '5\r\n12345\r\n'],
    ['in the middle of a chunk', 'Transfer-Encoding: chunked\r\n\r\n', 'a\r\n12345'],
  ] as const)
    it(`of an upload (${framing}) is 408, the last answer, and no whole request upstream`, async () => {
      const before = upstream.heardBytes;
      const heard = await say(`POST /idle/hold HTTP/1.1\r\nHost: h\r\n${pieces[0]}`, pieces[1]);
      assert.match(heard, /^HTTP\/1\.1 408 .*\r\nConnection: close\r\n.*"code":"ERR_REQUEST_TIMEOUT"/is);
      await quiet(['POST hold']);
      assert.ok(upstream.heardBytes > before);
    });

  it('of an upload that has not begun is 408, and the upstream is not asked', async () => {
    const heard = await say('POST /idle/hold HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n');
    assert.match(heard, /^HTTP\/1\.1 408 /);
    await quiet([]);
  });

  it('of an upload that waits for 100 is 408', async () => {
    const heard = await say(
      'POST /idle/hold HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n',
    );
    assert.match(heard, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 408 /);
    await quiet([]);
  });

  it('of an upstream that takes no more of an upload is its own fault: 504', async () => {
    const client = connect(gateway.port, '127.0.0.1').on('error', () => {});
    let heard = '';
    client.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    client.write(`POST /idle/deaf HTTP/1.1\r\nHost: h\r\nContent-Length: ${LARGE}\r\n\r\n`);
    client.write(Buffer.alloc(LARGE));
    await ended(client);
    assert.match(heard, /^HTTP\/1\.1 504 .*"code":"ERR_UPSTREAM_TIMEOUT"/s);
    for (const socket of upstream.sockets) socket.resume();
    await quiet(['POST deaf']);
  });

  it('of a client that takes no more of its answer cuts it, and ends it upstream', async () => {
    const client = connect(gateway.port, '127.0.0.1').on('error', () => {});
    client.write('GET /idle/flood HTTP/1.1\r\nHost: h\r\n\r\n');
    await once(client, 'data');
    client.pause();
    await quiet(['GET flood']);
    const circuit = await gateway.metrics();
    assert.equal(circuit.sum('ws_circuit_state'), 0);
    client.destroy();
  });

  it('leaves the endpoint in use', async () => {
    assert.equal((await http(`${gateway.http}/idle/ok`)).body, 'ok');
  });
});
