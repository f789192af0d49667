import { lookup } from 'node:dns/promises';
import { type AddressInfo, createServer } from 'node:net';
import type { ListenConfig } from '../config/config.js';
import { GatewayError } from '../errors.js';

/**
 * The port that the workers share. They bind it with SO_REUSEPORT, which would also succeed beside another
 * gateway of the same user: so it is checked first that the port is free. Other faults of the address are
 * left to the workers to report.
 *
 * @returns a free port of the system's choice when the configured one is 0.
 * @throws GatewayError ERR_LISTEN when the port is in use.
 */
export async function freePort({ host, port }: Pick<ListenConfig, 'host' | 'port'>): Promise<number> {
  const addresses = await lookup(host, { all: true }).catch(() => []);
  let free = port;
  for (const { address } of addresses) free = await tryListening(host, address, free);
  return free;
}

function tryListening(host: string, address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') resolve(port);
      else {
        const message = `HOST, PORT: cannot listen on ${host}:${port}, the port is in use`;
        reject(new GatewayError('ERR_LISTEN', message, { cause: error }));
      }
    });
    server.listen({ host: address, port, exclusive: true }, () => {
      const bound = (server.address() as AddressInfo).port;
      server.close(() => resolve(bound));
    });
  });
}
