import { once } from 'node:events';
import { connect } from 'node:net';

/** A POST to a server of ours that ends amid its body; resolves when the server has let go of it. */
export async function breakOff(port: number, host: string, path: string): Promise<void> {
  const socket = connect(port, host).resume();
  const closed = once(socket, 'close');
  socket.end(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10\r\n\r\n{`);
  await closed;
}
