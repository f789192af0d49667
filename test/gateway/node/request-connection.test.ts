import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { createAcceptor, isHandle } from '../../../internal/gateway/node/acceptor.js';
import { HandleConnection } from '../../../internal/gateway/node/connection.js';
import { RequestConnection } from '../../../internal/gateway/node/request-connection.js';
import { TimerWheel } from '../../../internal/session/timer-wheel.js';
import type { UpstreamSocket } from '../../../internal/upstream/socket/socket.js';
import { Sockets } from '../../../internal/upstream/socket/sockets.js';
import { eventually } from '../../support/eventually.js';

const HEAD = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

/** A connection whose exchanges get an answer of so many bytes, and whose time is turned by hand. */
async function served(t: TestContext, length: number) {
  const wheel = new TimerWheel((thrown) => assert.fail(String(thrown)));
  const sockets = new Sockets();
  const { tcp, readBuffer } = sockets;
  assert.ok(tcp !== null);
  let nowMs = performance.now();
  const seen = { read: 0, gone: 0, ends: [] as boolean[], socket: undefined as UpstreamSocket | undefined };
  const acceptor = createAcceptor(tcp.binding, (handle) => {
    assert.ok(isHandle(handle));
    const connection = new HandleConnection(tcp, { leave: () => {} }, handle, '127.0.0.1');
    seen.socket = connection.socket;
    new RequestConnection(connection, {
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
    }).begin();
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
});
