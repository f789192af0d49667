import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP server on the loopback interface, listening. */
export interface LocalServer {
  readonly http: Server;
  /** `127.0.0.1:port` */
  readonly address: string;
  /** Ends it and every connection it has. */
  close(): Promise<void>;
}

/** Listens on a port the system chooses. */
export async function listenLocally(): Promise<LocalServer> {
  const http = createServer();
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(0, '127.0.0.1', resolve);
  });
  return {
    http,
    address: `127.0.0.1:${(http.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
}
