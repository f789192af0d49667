import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { eventually } from '../support/eventually.js';
import { postgresStoreWithLog } from './recorded-log.js';

/** A message of the server: its type, its length and what is in it. */
function message(type: string, ...bytes: number[]): Buffer {
  const head = Buffer.alloc(5, type);
  head.writeUInt32BE(4 + bytes.length, 1);
  return Buffer.concat([head, Buffer.from(bytes)]);
}

const LOGGED_IN = message('R', 0, 0, 0, 0);
const READY = message('Z', 'I'.charCodeAt(0));
const UNREADABLE = 'an answer that cannot be read';

/** Something that says to each message of a client what the list has in its place, and then nothing. */
async function sayer(t: TestContext, answers: readonly Buffer[]) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const left = [...answers];
    sockets.add(socket);
    socket.on('error', () => {}).on('data', () => socket.write(left.shift() ?? ''));
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { dsn: `postgres://gw@127.0.0.1:${port}/x?sslmode=disable`, sockets };
}

/** Why it is down. */
async function reasonGiven(t: TestContext, answers: readonly Buffer[]): Promise<unknown> {
  const { store, lines } = postgresStoreWithLog((await sayer(t, answers)).dsn, []);
  t.after(() => store.stop());
  await store.start();
  await eventually(() => lines.length > 0);
  assert.equal(store.up, false);
  return lines[0]?.reason;
}

describe('a Postgres', () => {
  it('that asks for a login the client does not know is down, and that is the reason', async (t) => {
    assert.equal(await reasonGiven(t, [message('R', 0, 0, 0, 7)]), 'asks for a login by GSSAPI');
    assert.equal(await reasonGiven(t, [message('R', 0, 0, 0, 9)]), 'asks for a login by SSPI');
    assert.equal(await reasonGiven(t, [message('R', 0, 0, 0, 99)]), 'asks for a login by method 99');
  });

  it('whose answers are too short, or count wrongly, is down', async (t) => {
    const bad: readonly Buffer[] = [
      message('R'),
      message('K'),
      message('A'),
      message('T', 0, 5),
      message('D', 0xff, 0xff),
      message('G', 0),
      ...['E', 'N'].flatMap((type) => [
        message(type),
        message(type, ...Buffer.from('SERROR')),
        message(type, ...Buffer.from('SERROR\0')),
        message(type, ...Buffer.from('SERROR\0MM')),
      ]),
      // Lengths: less than a length takes, and more than anybody has to say.
      Buffer.from([0x45, 0, 0, 0, 3]),
      Buffer.from([0x45, 0x63, 0x6f, 0x75, 0x6c]),
    ];
    for (const answer of bad) {
      assert.equal(await reasonGiven(t, [answer]), UNREADABLE, `${answer}`);
      assert.equal(
        await reasonGiven(t, [Buffer.concat([LOGGED_IN, READY]), answer]),
        UNREADABLE,
        `behind the login: ${answer}`,
      );
    }
  });

  it('whose error has no end is left, and asked again', async (t) => {
    const { dsn, sockets } = await sayer(t, [message('E', ...Buffer.from('SFATAL\0'))]);
    const { store } = postgresStoreWithLog(dsn, []);
    t.after(() => store.stop());
    await store.start();
    await eventually(() => sockets.size > 1);
    assert.equal(store.up, false);
    await eventually(() => [...sockets].filter(({ closed }) => !closed).length <= 1);
  });
});
