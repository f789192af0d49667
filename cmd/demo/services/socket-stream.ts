import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/**
 * A WebSocket as the byte stream that a broker wants. Unlike the one of ws, destroying it ends the connection
 * with a close frame: a broker destroys its stream when a client says DISCONNECT, and that is no failure.
 */
export function socketStream(socket: WebSocket): Duplex {
  const stream = new Duplex({
    allowHalfOpen: false,
    read() {},
    write(chunk: Buffer, _encoding, done) {
      socket.send(chunk, done);
    },
    final(done) {
      socket.close(1000);
      done();
    },
    destroy(failure, done) {
      socket.close(1000);
      done(failure);
    },
  });
  socket.on('message', (data: Buffer) => stream.push(data));
  socket.on('close', () => stream.push(null));
  socket.on('error', () => socket.terminate());
  stream.on('error', () => {});
  return stream;
}
