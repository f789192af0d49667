import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { HttpEndpoints } from '../../../internal/gateway/endpoints.js';
import type { HttpRoutes } from '../../../internal/gateway/http-routes.js';
import { StreamConnection, streamOf } from '../../../internal/gateway/node/connection.js';
import { HttpSide, type HttpSideParts, type OnUpgrade } from '../../../internal/gateway/node/http-side.js';
import { unsentBytes } from '../../../internal/gateway/node/stalled.js';
import type { RequestHead } from '../../../internal/request/head.js';
import { TimerWheel } from '../../../internal/session/timer-wheel.js';
import { ReusedBuffer } from '../../../internal/upstream/socket/reused-buffer.js';
import { handshakeHead } from '../../support/clients/raw-client.js';
import { eventually } from '../../support/eventually.js';
import { KEY } from '../../support/protocols/handshake-head.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
/** More than the kernel takes for a client that reads nothing. */
const LARGE = 100_000_000;
/** As it was when the connection was accepted. */
const PEER = '192.0.2.7';

/** Where requests are answered on node:http. @param parts others than: probes, and no routes. */
async function served(t: TestContext, parts: Partial<HttpSideParts>, onUpgrade?: OnUpgrade) {
  const turnedAway: RequestHead[] = [];
  const turnAwayUnread = (head: RequestHead) => {
    turnedAway.push(head);
    return 400;
  };
  const wheel = new TimerWheel((thrown) => assert.fail(String(thrown)));
  let nowMs = performance.now();
  /** Lets time pass. */
  const pass = (ms: number): void => {
    nowMs = Math.max(nowMs, performance.now()) + ms;
    wheel.advance(nowMs);
  };
  const side = new HttpSide(
    {
      gate: { turnAway: (head) => ({ status: turnAwayUnread(head) }), turnAwayUnread },
      endpoints: new HttpEndpoints(undefined, () => undefined, undefined),
      wheel,
      ...parts,
    },
    onUpgrade,
  );
  const readBuffer = new ReusedBuffer();
  const accepted: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    accepted.push(socket);
    const connection = new StreamConnection(readBuffer, streamOf(socket), PEER);
    side.take(connection.asStream(Buffer.alloc(0)), PEER);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dial = async (): Promise<Socket> => {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
    t.after(() => client.destroy());
    await once(client, 'connect');
    return client;
  };
  t.after(() => {
    side.close();
    server.close();
    for (const socket of accepted) socket.destroy();
  });
  return { side, dial, accepted, turnedAway, pass };
}

describe('requests on node:http', () => {
  it('come from the address that the connection was accepted from, which may be gone by now', async (t) => {
    const { dial, turnedAway } = await served(t, {});
    const client = await dial();
    client.write(`${GET}no request\r\n\r\n`);
    await eventually(() => turnedAway.length > 0);
    assert.deepEqual(
      turnedAway.map(({ peer }) => peer),
      turnedAway.map(() => PEER),
    );
  });

  it('have a body that nobody reads while it is paused, though it was told to flow in the same turn', async (t) => {
    let held: Socket | undefined;
    const httpRoutes: HttpRoutes = {
      present: true,
      serve: ({ body }) => {
        const socket = body?.socket;
        setImmediate(() => {
          held = socket?.pause().resume().pause();
        });
        return true;
      },
    };
    const { dial } = await served(t, { httpRoutes });
    const client = await dial();
    client.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n');
    await eventually(() => held !== undefined);
    await new Promise(setImmediate);
    const before = held?.bytesRead;
    await new Promise((resolve) => client.write(Buffer.alloc(100_000), resolve));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(held?.bytesRead, before);
  });

  it('are refused as on a new connection: of other versions, without a Host, asking for half a WebSocket', async (t) => {
    const httpRoutes: HttpRoutes = {
      present: true,
      serve: () => assert.fail('it is no exchange'),
    };
    const upgraded: RequestHead[] = [];
    const onUpgrade: OnUpgrade = (head, stream) => {
      upgraded.push(head);
      stream.destroy();
    };
    const { dial, turnedAway } = await served(t, { httpRoutes }, onUpgrade);
    for (const [count, head] of [
      'GET / HTTP/2.0\r\nHost: h\r\n',
      'GET / HTTP/0.9\r\nHost: h\r\n',
      'GET / HTTP/1.1\r\n',
      `GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: ${KEY}\r\n`,
      'POST / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n',
    ].entries()) {
      const client = await dial();
      client.write(`${head}\r\n`);
      const [heard] = await once(client, 'data');
      assert.match(String(heard), /^HTTP\/1\.1 400 /, head);
      assert.equal(turnedAway.length, count + 1, 'it is counted');
    }
    assert.deepEqual(upgraded, []);
    const client = await dial();
    client.write(handshakeHead(1, '/').replace('HTTP/1.1', 'HTTP/2.0'));
    await once(client, 'close');
    assert.deepEqual(
      upgraded.map(({ isOld }) => isOld),
      [true],
    );
  });

  it('that offer another protocol are answered as if they did not, in the same connection', async (t) => {
    const asked: string[] = [];
    const upgraded: RequestHead[] = [];
    const httpRoutes: HttpRoutes = {
      present: true,
      serve: (wire, { method, target, headers }) => {
        assert.equal(headers.has('upgrade'), false);
        let body = '';
        const answer = (): void => {
          asked.push(`${method} ${target} ${body}`);
          wire.begin(200, undefined, ['Content-Length', '2']);
          wire.write(Buffer.from('ok'));
          wire.end([]);
        };
        if (wire.body === undefined) answer();
        else
          wire.body
            .on('data', (chunk) => {
              body += String(chunk);
            })
            .on('end', answer);
        return true;
      },
    };
    const { dial } = await served(t, { httpRoutes }, (head, stream) => {
      upgraded.push(head);
      stream.destroy();
    });
    const client = await dial();
    let heard = '';
    client.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    const offer =
      'Host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';
    for (const [count, request] of [
      `GET /healthz HTTP/1.1\r\n${offer}\r\n`,
      `POST /a HTTP/1.1\r\n${offer}Content-Length: 5\r\n\r\nhel`,
      'lo',
      `GET /b HTTP/1.1\r\n${offer}\r\n`,
      // With another request behind it.
      `GET /c HTTP/1.1\r\n${offer}\r\nGET /d HTTP/1.1\r\nHost: h\r\n\r\n`,
    ].entries()) {
      client.write(request);
      const answers = [1, 1, 2, 3, 5][count];
      await eventually(() => heard.split('HTTP/1.1 200 OK').length - 1 === answers);
    }
    assert.deepEqual(asked, ['POST /a hello', 'GET /b ', 'GET /c ', 'GET /d ']);
    client.write(`${handshakeHead(1, '/e')}early`);
    await once(client, 'close');
    assert.deepEqual(
      upgraded.map(({ target, peer }) => [target, peer]),
      [['/e', PEER]],
    );
  });

  it('that offer another protocol, or ask for a WebSocket, wait for the answers before them', async (t) => {
    const asked: string[] = [];
    const upgraded: string[] = [];
    let answerSlow = (): void => {};
    const httpRoutes: HttpRoutes = {
      present: true,
      serve: (wire, { target }) => {
        asked.push(target);
        // Piece by piece, as the client takes them.
        const bytes = Buffer.alloc(target === '/slow' ? 1_000_000 : 2, 'x');
        let left = target === '/slow' ? 20 : 1;
        const say = (): void => {
          while (left > 0) if (!wire.write(--left === 0 ? Buffer.from('ok') : bytes)) return;
          wire.end([]);
        };
        wire.owner = { wireDrained: say, wireClosed: () => {}, wireBroken: () => {} };
        const answer = (): void => {
          wire.begin(200, undefined, ['Content-Length', String((left - 1) * bytes.length + 2)]);
          say();
        };
        if (target === '/slow') answerSlow = answer;
        else answer();
        return true;
      },
    };
    const { dial, accepted } = await served(t, { httpRoutes }, ({ target }, stream, early) => {
      upgraded.push(`${target} ${early}`);
      stream.end('switched');
    });
    const client = await dial();
    let heard = '';
    client.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1').replaceAll('x', '');
    });
    const answers = () => heard.split('HTTP/1.1 200 OK').length - 1;
    const get = (target: string, offers = false) =>
      `GET ${target} HTTP/1.1\r\nHost: h\r\n${offers ? 'Connection: Upgrade\r\nUpgrade: h2c\r\n' : ''}\r\n`;
    client.write(get('/healthz') + get('/a', true) + get('/b'));
    await eventually(() => answers() === 3);
    client.write(get('/slow') + get('/healthz') + get('/c', true) + get('/d', true) + get('/e'));
    await eventually(() => accepted[0]?.isPaused() === true);
    assert.deepEqual(asked, ['/a', '/b', '/slow']);
    client.pause();
    answerSlow();
    await eventually(() => unsentBytes(accepted[0]!) > 0);
    client.resume();
    await eventually(() => answers() === 8);
    assert.deepEqual(asked, ['/a', '/b', '/slow', '/c', '/d', '/e']);
    client.write(`${get('/healthz')}${handshakeHead(1, '/f')}early`);
    await once(client, 'close');
    assert.deepEqual(upgraded, ['/f early']);
    assert.equal(answers(), 9);
    assert.ok(heard.endsWith('switched'));
  });

  it('that offer another protocol behind the last answer are not served', async (t) => {
    const { dial, turnedAway } = await served(t, {});
    const client = await dial();
    let heard = '';
    client.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    client.write(`${GET}GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`);
    client.end();
    await once(client, 'close');
    assert.equal(heard.split('HTTP/1.1 400').length - 1, 1);
    assert.equal(turnedAway.length, 1);
  });

  /** Says all of it at once. */
  const large: HttpRoutes = {
    present: true,
    serve: (wire) => {
      const answer = (): void => {
        wire.begin(200, undefined, ['Content-Length', String(LARGE)]);
        wire.write(Buffer.alloc(LARGE, 'x'));
        wire.end([]);
      };
      if (wire.body === undefined) answer();
      else wire.body.resume().on('end', answer);
      return true;
    },
  };
  const metrics = new HttpEndpoints(
    { contentType: 'text/plain', scrape: async () => 'x'.repeat(LARGE) },
    () => undefined,
    undefined,
  );

  for (const [whose, request, isLast] of [
    ["the gateway's own", 'GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n', false],
    ['a route', 'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx', false],
    ['a client that says no more', GET, true],
  ] as const)
    it(`are given up with their connection when nothing of the answer is taken for a minute (${whose})`, async (t) => {
      const { dial, accepted, pass } = await served(t, { endpoints: metrics, httpRoutes: large });
      const client = await dial();
      client.pause().write(request);
      await eventually(() => accepted.length === 1);
      const stream = accepted[0]!;
      await eventually(() => unsentBytes(stream) > 0);
      if (isLast) {
        client.end();
        await eventually(() => stream.readableEnded);
      }
      const before = unsentBytes(stream);
      client
        .on('data', () => {
          if (unsentBytes(stream) < before) client.pause();
        })
        .resume();
      await eventually(() => unsentBytes(stream) < before);
      pass(61_000);
      assert.equal(stream.destroyed, false);
      await eventually(() => {
        pass(61_000);
        return stream.destroyed;
      });
    });

  it('are no idle ones while the answer waits for its client', async (t) => {
    const { dial, accepted, side } = await served(t, { httpRoutes: large });
    const [taking, idle] = [await dial(), await dial()];
    idle.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n');
    await once(idle, 'data');
    taking.pause().write(GET);
    await eventually(() => accepted.some((stream) => unsentBytes(stream) > 0));
    side.closeIdle();
    await once(idle, 'close');
    await eventually(() => taking.resume().bytesRead > LARGE);
    side.closeIdle();
    await once(taking, 'close');
  });

  it('may take their time for the next answer once one is taken', async (t) => {
    const { dial, accepted, pass } = await served(t, { endpoints: metrics });
    const client = await dial();
    client.write('GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n');
    await once(client, 'data');
    pass(61_000);
    pass(61_000);
    assert.equal(accepted[0]?.destroyed, false);
  });
});
