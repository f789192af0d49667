import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Time for an answer on the loopback interface, in rounds: what has come is read between two of them, so
 * that no build is called unsound because the machine was too busy, or stood still.
 */
const ANSWER_ROUNDS = 50;
/** Between two pieces of a request, so that they come in two reads. */
const BETWEEN_MS = 20;

/** What every build must be able to read, each in its pieces; the words are for the operator. */
const REQUESTS: readonly (readonly [fault: string, pieces: readonly string[]])[] = [
  ['cannot take a request line in two pieces', ['GET /soun', 'd HTTP/1.1\r\nHost: h\r\n\r\n']],
  ['hangs on a header name with _', ['GET /sound HTTP/1.1\r\nHost: h\r\nX_Y: 1\r\n\r\n']],
];

/**
 * Asks the uWebSockets.js that is installed what it makes of requests that some of its builds cannot read
 * (SPEC section 4a): its version does not tell.
 * @returns what is wrong with it, in words that follow "uWebSockets.js"; undefined: it is sound.
 */
export async function uwsFault(): Promise<string | undefined> {
  try {
    const { uWS } = await import('./uws.js');
    const app = uWS.App().any('/*', (response) => void response.end('ok'));
    try {
      const port = await new Promise<number>((resolve, reject) => {
        app.listen('127.0.0.1', 0, uWS.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) =>
          socket ? resolve(uWS.us_socket_local_port(socket)) : reject(new Error('cannot listen on loopback')),
        );
      });
      const answered = await Promise.all(REQUESTS.map(([, pieces]) => isAnswered(port, pieces)));
      return REQUESTS.find((_, index) => answered[index] === false)?.[0];
    } finally {
      app.close();
    }
  } catch (thrown) {
    // A native library that does not fit this machine says so in several lines.
    const why = thrown instanceof Error ? thrown.message.split('\n', 1)[0] : String(thrown);
    return `cannot be loaded here: ${why}`;
  }
}

async function isAnswered(port: number, pieces: readonly string[]): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  try {
    let heard: string | undefined;
    const end = (): void => {
      heard ??= '';
    };
    socket.once('data', (bytes) => {
      heard ??= bytes.toString('latin1');
    });
    socket.on('error', end).once('close', end);
    for (const piece of pieces) {
      socket.write(piece);
      await pause(BETWEEN_MS);
    }
    for (let round = 0; round < ANSWER_ROUNDS && heard === undefined; round++) await pause(BETWEEN_MS);
    return heard?.startsWith('HTTP/1.1 200 ') ?? false;
  } finally {
    socket.destroy();
  }
}
