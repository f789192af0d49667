import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { createAcceptor, isHandle } from '../../../internal/gateway/node/acceptor.js';
import { HandleConnection } from '../../../internal/gateway/node/connection.js';
import { RequestConnection, type RequestRules } from '../../../internal/gateway/node/request-connection.js';
import { TimerWheel } from '../../../internal/session/timer-wheel.js';
import type { UpstreamSocket } from '../../../internal/upstream/socket/socket.js';
import { Sockets } from '../../../internal/upstream/socket/sockets.js';
import { eventually } from '../../support/eventually.js';

const HEAD = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

/**
 * A connection whose exchanges get an answer of so many bytes, and whose time is turned by hand.
 * @param rules other ones.
 */
async function served(t: TestContext, length: number, rules: Partial<RequestRules> = {}) {
  const wheel = new TimerWheel((thrown) => assert.fail(String(thrown)));
  const sockets = new Sockets();
  const { tcp, readBuffer } = sockets;
  assert.ok(tcp !== null);
  let nowMs = performance.now();
  const seen = {
    ...{ read: 0, gone: 0, left: 0, ends: [] as boolean[] },
    socket: undefined as UpstreamSocket | undefined,
    requesting: undefined as RequestConnection | undefined,
  };
  const acceptor = createAcceptor(tcp.binding, (handle) => {
    assert.ok(isHandle(handle));
    const connection = new HandleConnection(tcp, { leave: () => void seen.left++ }, handle, '127.0.0.1');
    seen.socket = connection.socket;
    seen.requesting = new RequestConnection(connection, {
      ...{ wheel, draining: false },
      readBuffer: {
        view: (start, end) => {
          seen.read += end - start;
          return readBuffer.view(start, end);
        },
      },
      exchange: (wire) => {
        wire.owner = {
          wireDrained: () => {},
          wireClosed: (isOut) => void seen.ends.push(isOut),
          wireBroken: () => {},
        };
        wire.begin(200, undefined, ['Content-Length', String(length)]);
        wire.write(Buffer.alloc(length, 'x'));
        wire.end([]);
        return true;
      },
      handshake: () => assert.fail('a handshake'),
      http: () => assert.fail('something else'),
      refuse: () => assert.fail('a bad head'),
      gone: () => void seen.gone++,
      ...rules,
    });
    seen.requesting.begin();
  });
  const port = await acceptor.listen('127.0.0.1', 0);
  const client = connect(port, '127.0.0.1').on('error', () => {});
  t.after(() => {
    client.destroy();
    seen.socket?.destroy();
    acceptor.close();
  });
  await once(client, 'connect');
  /** Lets time pass. */
  const pass = (ms: number): void => {
    nowMs = Math.max(nowMs, performance.now()) + ms;
    wheel.advance(nowMs);
  };
  return { client, seen, pass };
}

describe('a connection that requests come on', () => {
  it('is given up when none has come whole in ten seconds', async (t) => {
    const { client, pass, seen } = await served(t, 1);
    client.write(HEAD.slice(0, 20));
    await eventually(() => seen.read === 20);
    pass(9_000);
    assert.equal(seen.gone, 0);
    pass(1_500);
    assert.equal(seen.gone, 1);
    await once(client.resume(), 'close');
  });

  it('has ten seconds for the next one, and as many from its first byte', async (t) => {
    for (const begun of ['', HEAD.slice(0, 20)]) {
      const { client, pass, seen } = await served(t, 1);
      client.resume().write(HEAD);
      await eventually(() => seen.ends.length === 1);
      client.write(begun);
      await eventually(() => seen.read === HEAD.length + begun.length);
      pass(9_000);
      assert.equal(seen.gone, 0);
      pass(1_500);
      assert.equal(seen.gone, 1);
    }
  });

  it('is given up by a client that takes nothing of its answer for a minute', async (t) => {
    const { client, pass, seen } = await served(t, 200_000_000);
    const left = (): number => seen.socket?.writableLength ?? 0;
    client.pause().write(HEAD);
    await eventually(() => left() > 0);
    const before = left();
    client
      .on('data', () => {
        if (left() < before) client.pause();
      })
      .resume();
    await eventually(() => left() < before);
    pass(61_000);
    assert.equal(seen.gone, 0);
    await eventually(() => {
      pass(61_000);
      return seen.gone > 0;
    });
    await eventually(() => seen.ends.length === 1);
    assert.deepEqual(seen.ends, [false]);
  });

  it('has nothing done of what came behind a request once it has ended, and is counted out once', async (t) => {
    const { client, seen } = await served(t, 1, {
      exchange: (wire) => {
        wire.begin(200, undefined, []);
        wire.end([]);
        process.nextTick(() => seen.requesting?.close());
        return true;
      },
      http: (connection, received) => void connection.asStream(received).destroy(),
    });
    client.resume().write(`${HEAD}POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx`);
    await once(client, 'close');
    assert.equal(seen.left, 1);
  });

  it('is no idle one while a part of a request has come, or a whole one waits', async (t) => {
    const begun = await served(t, 1);
    begun.client.resume().write(HEAD);
    await eventually(() => begun.seen.ends.length === 1);
    begun.client.write(HEAD.slice(0, 20));
    await eventually(() => begun.seen.read === HEAD.length + 20);
    begun.seen.requesting?.closeIdle();
    begun.client.write(HEAD.slice(20));
    await eventually(() => begun.seen.ends.length === 2);
    begun.seen.requesting?.closeIdle();
    await once(begun.client, 'close');

    const { client, seen } = await served(t, 1, {
      exchange: (wire) => {
        seen.ends.push(true);
        wire.begin(200, undefined, []);
        wire.end([]);
        process.nextTick(() => seen.requesting?.closeIdle());
        return true;
      },
    });
    client.resume().write(HEAD.repeat(3));
    await once(client, 'close');
    assert.equal(seen.ends.length, 3);
  });

  it('answers what has come with a request while it ends, and nothing behind that', async (t) => {
    const { client, seen } = await served(t, 1, { draining: true });
    let heard = '';
    client.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
    });
    client.write(HEAD.repeat(3));
    await once(client, 'end');
    assert.equal(seen.ends.length, 3);
    assert.equal(heard.split('HTTP/1.1 200 OK').length, 4);
  });

  it('is given up by a client that resets it while no more of what it asks for is read', async (t) => {
    const { client, seen, pass } = await served(t, 1, {
      exchange: (wire) => {
        wire.owner = {
          wireDrained: () => {},
          wireClosed: (isOut) => void seen.ends.push(isOut),
          wireBroken: () => {},
        };
        return true;
      },
    });
    client.write(HEAD.repeat(10_000));
    await eventually(() => seen.read > 16_384);
    pass(60_000);
    assert.deepEqual(seen.ends, []);
    client.resetAndDestroy();
    await eventually(() => {
      pass(1_200);
      return seen.ends.length > 0;
    });
    assert.deepEqual([seen.ends, seen.left], [[false], 1]);
  });

  it('reads no further than it has got with its answers', async (t) => {
    let answered = 0;
    const waiting: (() => void)[] = [];
    const { client, seen } = await served(t, 1, {
      exchange: (wire) => {
        waiting.push(() => {
          answered++;
          wire.begin(200, undefined, []);
          wire.end([]);
        });
        return true;
      },
    });
    client.resume().write(HEAD.repeat(40_000));
    for (let next = 1; next <= 20; next++) {
      await eventually(() => waiting.length === next);
      waiting[next - 1]?.();
    }
    assert.equal(answered, 20);
    assert.ok(seen.read < 300_000, `${seen.read} bytes are held`);
  });
});
