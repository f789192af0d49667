import { once } from 'node:events';
import { connect } from 'node:net';

/** Says pieces one after another, and hears what comes until the other side closes. */
export async function talk(port: number, pieces: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  let heard = '';
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
  });
  for (const piece of pieces) {
    if (socket.writable) socket.write(piece, 'latin1');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (heard === '' && !socket.closed) await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  // Kept alive, it ends when the client has said all.
  if (socket.writable) socket.end();
  if (!socket.closed) await once(socket, 'close');
  return heard;
}
