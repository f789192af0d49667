import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Connection } from '../../../internal/upstream/http/connection.js';
import { EndpointPool } from '../../../internal/upstream/http/pools.js';
import { SendQueue } from '../../../internal/upstream/http/send-queue.js';
import { DialTurns } from '../../../internal/upstream/pool/dial-turns.js';
import { ReusedBuffer } from '../../../internal/upstream/socket/reused-buffer.js';
import type { SocketOwner, UpstreamSocket } from '../../../internal/upstream/socket/socket.js';

/** A connection that takes everything and says nothing. */
function silent(owner: SocketOwner): UpstreamSocket {
  return {
    ...{ owner, writable: true, writableLength: 0, waitingWrites: 0, bytesWritten: 0, isReset: false },
    ...{
      write: () => {},
      pause: () => {},
      resume: () => {},
      end: () => {},
      close: () => {},
      destroy: () => {},
    },
  };
}

const REQUEST = { method: 'GET', path: '/', host: 'x', headers: [], body: undefined, hasLength: false };
const NOBODY = {
  trailers: () => '',
  onConnected: () => {},
  onHead: () => {},
  onBytes: () => true,
  onEnd: () => {},
  onError: () => {},
};

/**
 * A pool with that many connections that have served, in their order.
 * @param onSent called before each answer.
 */
function poolOf(size: number, onSent: () => void = () => {}) {
  const owners: SocketOwner[] = [];
  const readBuffer = new ReusedBuffer();
  const pool = new EndpointPool({
    endpoint: { turns: new DialTurns(size), breaker: { state: 'closed' } },
    ...{ connectMs: 60_000, queue: new SendQueue(), readBuffer },
    open: (owner) => {
      owners.push(owner);
      return silent(owner);
    },
  });
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  const connections: Connection[] = [];
  for (let at = 0; at < size; at++) {
    const connection = pool.take();
    connection.send(REQUEST, NOBODY);
    onSent();
    owners[at]?.socketReady?.();
    owners[at]?.socketRead(readBuffer.bytes.write(answer));
    connections.push(connection);
  }
  for (const connection of connections) pool.give(connection);
  return { pool, connections, owners };
}

it('the connection that served last is taken first, and none that has gone meanwhile', () => {
  const { pool, connections, owners } = poolOf(3);
  owners[2]?.socketClosed();
  owners[0]?.socketClosed();
  assert.equal(pool.take(), connections[1]);
  assert.ok(!connections.includes(pool.take()), 'a new one');
  pool.destroy();
});

it('connections that have been idle for too long are let go, the others kept', () => {
  const { pool, connections } = poolOf(3);
  const [first, second, third] = connections;
  assert.ok(first && second && third);
  second.idleUntilMs = Number.POSITIVE_INFINITY;
  for (const one of [first, third]) one.idleUntilMs = 5_000;
  pool.sweep(5_000);
  assert.deepEqual(
    connections.map(({ isOpen }) => isOpen),
    [false, true, false],
  );
  assert.equal(pool.take(), second);
  assert.ok(!connections.includes(pool.take()), 'a new one');
  pool.destroy();
});

it('a connection whose time is over is not taken, though nobody has looked for it yet', () => {
  const { pool, connections } = poolOf(3);
  const [first, second, third] = connections;
  assert.ok(first && second && third);
  first.idleUntilMs = Number.POSITIVE_INFINITY;
  for (const one of [second, third]) one.idleUntilMs = performance.now();
  assert.equal(pool.take(), first);
  assert.deepEqual(
    connections.map(({ isOpen }) => isOpen),
    [true, false, false],
  );
  pool.destroy();
});

it('a connection that is busy is used for five minutes at the longest', (t) => {
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  const { pool, connections } = poolOf(1, () => {
    nowMs = 299_000;
  });
  nowMs = 299_999;
  const [first] = connections;
  assert.equal(pool.take(), first);
  if (first !== undefined) pool.give(first);
  nowMs = 300_000;
  assert.notEqual(pool.take(), first);
  assert.equal(first?.isOpen, false);
  pool.destroy();
});

it('an upstream that ends thousands of idle connections at once costs no more than their requests did', () => {
  const cpuOf = <T>(work: () => T): { readonly us: number; readonly result: T } => {
    const before = process.cpuUsage();
    const result = work();
    const { user, system } = process.cpuUsage(before);
    return { us: user + system, result };
  };
  const { us: served, result } = cpuOf(() => poolOf(50_000));
  const { us: ended } = cpuOf(() => {
    for (const owner of result.owners) owner.socketClosed();
    result.pool.sweep(performance.now());
  });
  assert.ok(result.connections.every(({ isOpen }) => !isOpen));
  assert.ok(ended < 2 * served, `${ended} \u00b5s after ${served}`);
  result.pool.destroy();
});
