import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import { isStreamReset, reset } from '../../internal/runtime/tcp-reset.js';
import { makeCertificate } from '../support/certificate.js';
import { eventually, within } from '../support/eventually.js';

/** Connects to a server that does this with the connection. */
async function meet(t: TestContext, server: Server, event: string, dial: (port: number) => Socket) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  const met = once(server, event) as Promise<[Socket]>;
  const client = dial((server.address() as AddressInfo).port);
  t.after(() => void client.destroy());
  const [socket] = await within(met, 'a connection');
  return { socket, client };
}

const plain = (t: TestContext) => meet(t, createServer(), 'connection', (port) => connect(port, '127.0.0.1'));

interface Resettable {
  readonly _parent?: Resettable;
  reset?(onReset: () => void): number;
}

async function overTls(t: TestContext) {
  const { certFile, keyFile, remove } = await makeCertificate('127.0.0.1');
  const server = createTlsServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  await remove();
  return meet(t, server, 'secureConnection', (port) =>
    tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false }),
  );
}

describe('a reset', () => {
  it('is no good end to the other side', async (t) => {
    const { socket, client } = await plain(t);
    socket.write('half');
    const failed = once(client.resume(), 'error');
    reset(socket);
    assert.match(String(await within(failed, 'ECONNRESET')), /ECONNRESET/);
  });

  it('of a connection that is about to end closes it', async (t) => {
    const { socket, client } = await plain(t);
    client.resume();
    socket.end('whole');
    reset(socket);
    await within(once(socket, 'close'), 'close');
  });

  it('of a connection that has ended, and is still spoken to, closes it', async (t) => {
    const { socket, client } = await plain(t);
    client.resume();
    socket.allowHalfOpen = true;
    socket.end('whole');
    await within(once(socket, 'finish'), 'finish');
    const closed = once(socket, 'close');
    reset(socket);
    await within(closed, 'close');
  });

  it('of a connection under TLS is no good end either, and closes it', async (t) => {
    const { socket, client } = await overTls(t);
    socket.on('error', () => {}).write('half');
    await within(once(client, 'data'), 'data');
    const failed = once(client, 'error');
    const closed = once(socket, 'close');
    reset(socket);
    assert.match(String(await within(failed, 'ECONNRESET')), /ECONNRESET/);
    await within(closed, 'close');
  });

  it('of a connection under TLS that is about to end closes it', async (t) => {
    const { socket, client } = await overTls(t);
    client.on('error', () => {}).resume();
    const closed = Promise.all([once(socket, 'close'), once(client, 'close')]);
    socket.end('whole');
    reset(socket);
    await within(closed, 'close');
  });

  for (const [how, connected] of [
    ['TCP', plain],
    ['TLS', overTls],
  ] as const)
    it(`of a connection that is not read can be asked for (${how})`, async (t) => {
      const { socket, client } = await connected(t);
      socket.on('error', () => {}).pause();
      client.on('error', () => {}).write(Buffer.alloc(1000));
      assert.equal(isStreamReset(socket), false);
      // TCP's own, below TLS.
      const { _handle: handle } = client as Socket & { _handle: Resettable };
      (handle._parent ?? handle).reset?.(() => {});
      await eventually(() => isStreamReset(socket));
    });
});
