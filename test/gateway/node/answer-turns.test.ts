import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { ignore, inTurn } from '../../../internal/gateway/node/answer-turns.js';
import { eventually } from '../../support/eventually.js';

const POST = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx';
const LONG = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30000\r\n\r\n';
const GET = `GET / HTTP/1.1\r\nHost: h\r\nX-Filling: ${'x'.repeat(50)}\r\n\r\n`;

/** A server whose requests come to `serve` in turn, and a client of it. */
async function served(t: TestContext, serve: (request: IncomingMessage, response: ServerResponse) => void) {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    inTurn(request.socket, response, () => serve(request, response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  t.after(() => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  });
  /** Resolves when nothing more is read. */
  const still = async (): Promise<void> => {
    let read = -1;
    await eventually(() => {
      const before = read;
      read = requests[0]?.socket.bytesRead ?? 0;
      return read > 0 && read === before;
    });
  };
  return { client, requests, still };
}

describe('requests behind an answer that is not out', () => {
  it('wait unread, but for what one read brings, and are all served in the end', async (t) => {
    const waiting: ServerResponse[] = [];
    const { client, requests, still } = await served(t, (_request, response) => {
      if (waiting.length === 0) waiting.push(response);
      else response.end('ok');
    });
    let heard = '';
    client.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    client.write(POST + GET.repeat(4_000));
    await eventually(() => requests[0]?.socket.isPaused() === true);
    await still();
    assert.ok(requests.length < 2_000, `${requests.length} requests`);
    waiting[0]?.end('first');
    await eventually(() => heard.match(/HTTP\/1\.1 200/g)?.length === 4_001, 60_000);
    assert.equal(requests.length, 4_001);
  });

  it('end with a client that resets its connection while no more is read', async (t) => {
    let isClosed = false;
    const { client, requests, still } = await served(t, (_request, response) => {
      response.once('close', () => {
        isClosed = true;
      });
    });
    client.write(POST + GET.repeat(4_000));
    await eventually(() => requests[0]?.socket.isPaused() === true);
    await still();
    client.resetAndDestroy();
    await eventually(() => isClosed);
  });

  for (const [name, first, reads] of [
    ['somebody reads a body', POST, true],
    // More of a body than is kept pauses the connection, and its end lets it flow again, before the others.
    ['node:http was told to in the same read', `${LONG}${'x'.repeat(30_000)}`, false],
  ] as const)
    it(`are not read on because ${name}`, async (t) => {
      const { client, requests, still } = await served(t, () => {});
      const last = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';
      client.write(first + GET.repeat(20) + last);
      await eventually(() => requests.length === 22);
      if (reads) requests.at(-1)?.resume();
      const size = 50_000_000;
      client.write(`${size.toString(16)}\r\n`);
      client.write(Buffer.alloc(size));
      await still();
      assert.ok((requests[0]?.socket.bytesRead ?? 0) < 1_000_000);
    });

  it('are too many when a read brings more than a mebibyte to keep of them', () => {
    const stream = new Stream();
    for (let times = 0; times < 1_000; times++) inTurn(stream as never, answer(), () => {});
    assert.deepEqual(stream.told, ['pause']);
    for (let times = 0; times < 100; times++) inTurn(stream as never, answer(), () => {});
    assert.ok(stream.told.includes('destroy'));
  });

  it('are kept up to a mebibyte where nobody serves them', () => {
    const stream = new Stream();
    for (let times = 0; times < 1_000; times++) ignore(stream as never, answer().req);
    assert.equal(stream.told.length, 0);
    for (let times = 0; times < 100; times++) ignore(stream as never, answer().req);
    assert.ok(stream.told.includes('destroy'));
  });
});

/** What is done to a connection. */
class Stream extends EventEmitter {
  readonly told: string[] = [];
  pause = () => this.told.push('pause');
  resume = () => this.told.push('resume');
  destroy = () => this.told.push('destroy');
}

/** An answer to a small request. */
function answer(): ServerResponse {
  const req = { url: '/', rawHeaders: ['Host', 'h'] };
  return Object.assign(new EventEmitter(), { req }) as never;
}
