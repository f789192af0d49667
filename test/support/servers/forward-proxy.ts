import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface ForwardProxy {
  readonly url: string;
  /**
   * `GET http://host/path`, `CONNECT host:port`: what was asked of it, with the credentials
   * behind if there were any.
   */
  readonly asked: string[];
  close(): Promise<void>;
}

/** A forward proxy as RFC 9110 §9.3.6 and RFC 9112 §3.2.2 have it, on a free port of 127.0.0.1. */
export async function startForwardProxy(): Promise<ForwardProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const note = (line: string, credentials: string | undefined) =>
    asked.push(credentials === undefined ? line : `${line} ${credentials}`);
  const server = createServer((incoming, answer) => {
    const { method = '', url = '', headers } = incoming;
    note(`${method} ${url}`, headers['proxy-authorization']);
    const onward = request(url, { method, headers: { ...headers, host: new URL(url).host } }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    onward.on('error', () => answer.writeHead(502).end());
    incoming.pipe(onward);
  });
  server.on('connect', ({ url = '', headers }, client: Socket, head) => {
    note(`CONNECT ${url}`, headers['proxy-authorization']);
    const { hostname, port } = new URL(`http://${url}`);
    const target = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      target.write(head);
      target.pipe(client).pipe(target);
    });
    for (const socket of [target, client]) {
      sockets.add(socket);
      socket.on('error', () => {
        target.destroy();
        client.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async close() {
      for (const socket of sockets) socket.destroy();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
