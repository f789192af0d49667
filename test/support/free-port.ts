import { connect, createServer } from 'node:net';

/**
 * Ports of this test process: a block below the ephemeral range that depends on the process id, so that test
 * files running side by side, and the outgoing connections of all of them, never meet on one.
 */
const BLOCK = 24;
const FIRST = 11_000 + (process.pid % 850) * BLOCK;
let next = 0;

/** A port on which nothing listens on any address. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 10 * BLOCK; tries++) {
    const port = FIRST + (next++ % BLOCK);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port in ${FIRST} to ${FIRST + BLOCK - 1}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Whether something takes connections on the port now. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
