import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readlinkSync, truncateSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import {
  type FilesRoute,
  NO_CLIENT_RULES,
  NO_TOKEN_RULES,
  type RespondRoute,
} from '../../internal/config/config.js';
import { Exchange } from '../../internal/exchange/exchange.js';
import { directory, put } from '../config/files.js';
import { EXCHANGE_DEFAULTS } from '../config/route-defaults.js';
import { eventually } from '../support/eventually.js';
import { door, httpRouteTo, serveRaw } from './parts.js';

/** More than the kernel takes for a client that reads nothing. */
const LARGE = 100_000_000;
const COMMON = {
  ...{ prefix: '/t', auth: 'public', requireRoles: [], tokens: NO_TOKEN_RULES, clients: NO_CLIENT_RULES },
  ...EXCHANGE_DEFAULTS,
} satisfies Partial<FilesRoute>;

/** A client that asks, has the first of its answer, and takes no more of it. */
async function asked(t: TestContext, port: number, request: string) {
  const client = connect(port, '127.0.0.1').on('error', () => {});
  t.after(() => client.destroy());
  client.write(request);
  await once(client, 'data');
  client.pause();
  return client;
}

/** Takes so many bytes more. */
async function take(client: Socket, bytes: number): Promise<void> {
  const upTo = client.bytesRead + bytes;
  client.resume();
  for (; client.bytesRead < upTo; await once(client, 'data'));
  client.pause();
}

describe('an exchange whose client takes nothing of its answer', () => {
  it('ends after a minute where the answer is a file, which is closed', async (t) => {
    const files = directory(t);
    const path = put(files, 'large', '');
    truncateSync(path, LARGE);
    const { port, exchanges } = await door(t, { routes: [{ ...COMMON, kind: 'files', files }] });
    // Time is what the test says it is.
    exchanges.stop();
    const client = await asked(t, port, 'GET /t/large HTTP/1.1\r\nHost: h\r\n\r\n');
    let nowMs = performance.now();
    const pass = (ms: number): void => {
      nowMs += ms;
      for (const exchange of exchanges) exchange.check(nowMs);
    };
    pass(0);
    pass(59_000);
    await take(client, LARGE / 2);
    pass(59_000);
    assert.equal(exchanges.size, 1);
    await eventually(() => {
      pass(61_000);
      return exchanges.size === 0;
    });
    await eventually(() => !openFiles().includes(path));
    await eventually(() => client.resume().closed);
    assert.ok(client.bytesRead < LARGE);
  });

  const respond: RespondRoute = {
    ...COMMON,
    kind: 'respond',
    respond: { status: 200, body: 'x'.repeat(LARGE), headers: [] },
  };
  for (const [how, head] of [
    ['without node:http', 'GET /t HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['on node:http', 'POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx'],
  ] as const)
    it(`is cut in its tail, too, ${how}`, async (t) => {
      const { port, exchanges } = await door(t, { routes: [respond] });
      for (const end of [
        (exchange: Exchange) => assert.equal(exchange.cut('revoked'), true),
        (exchange: Exchange) => {
          exchange.deadlines.expiresAtMs = 1;
        },
      ]) {
        const client = await asked(t, port, head);
        const [exchange] = exchanges;
        assert.ok(exchange instanceof Exchange && exchange.wire.isEnded);
        // What fails behind a whole answer is no reason.
        exchange.refuse(new Error('too late'));
        assert.equal(exchanges.size, 1);
        end(exchange);
        await eventually(() => exchanges.size === 0);
        await eventually(() => client.resume().closed);
        assert.ok(client.bytesRead < LARGE);
      }
    });
});

describe('an exchange that is refused', () => {
  it('is cut off where its file begins in the turn in which it is', async (t) => {
    const files = directory(t);
    truncateSync(put(files, 'large', ''), LARGE);
    const { port, exchanges } = await door(t, { routes: [{ ...COMMON, kind: 'files', files }] });
    const add = exchanges.add.bind(exchanges);
    t.mock.method(exchanges, 'add', (exchange: Exchange) => {
      add(exchange);
      const response = exchange.wire.node?.response;
      response?.once('pipe', () => {
        assert.equal(exchange.cut('revoked'), true);
        // As the first bytes of the file have it.
        response.writeHead(200);
      });
    });
    const client = connect(port, '127.0.0.1').on('error', () => {});
    client.write('GET /t/large HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf');
    client.resume();
    await once(client, 'close');
    assert.ok(client.bytesRead < LARGE, `${client.bytesRead} bytes came`);
  });

  it('goes no further, and is told so once', async (t) => {
    const upstream = await serveRaw(t, () => {});
    const { port, exchanges } = await door(t, { routes: [httpRouteTo(upstream)] });
    const client = connect(port, '127.0.0.1').on('error', () => {});
    let heard = '';
    client.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    client.write('POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf');
    await eventually(() => exchanges.size === 1);
    const [exchange] = exchanges;
    assert.ok(exchange instanceof Exchange);
    let further = false;
    exchange.later(Promise.resolve(), () => {
      further = true;
    });
    assert.equal(exchange.cut('banned'), true);
    assert.equal(exchange.cut('revoked'), false);
    await eventually(() => client.closed);
    assert.equal(further, false);
    assert.match(heard, /^HTTP\/1\.1 403 .*"code":"ERR_BANNED"\}\n$/s);
  });
});

/** Paths that this process has open. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
}
