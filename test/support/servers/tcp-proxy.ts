import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Resets the connections that there are, on the side of whoever came; the other side sees an end. */
  cut(): void;
  close(): Promise<void>;
}

/**
 * Passes connections on to a port of 127.0.0.1, bytes as they come.
 * @param port asked for at each new connection.
 */
export async function startTcpProxy(port: number | (() => number)): Promise<TcpProxy> {
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    const target = connect(typeof port === 'number' ? port : port(), '127.0.0.1');
    clients.add(client);
    client.once('close', () => {
      clients.delete(client);
      target.destroy();
    });
    target.once('close', () => client.destroy());
    for (const socket of [client, target]) socket.on('error', () => {});
    client.pipe(target).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const client of clients) client.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    async close() {
      cut();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
