import { createServer } from 'node:net';

/** `wanted` if that port is free on `host`, else one that the system chooses. */
export async function freePort(wanted: number, host: string): Promise<number> {
  return await bindable(wanted, host).catch(() => bindable(0, host));
}

function bindable(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => {
      const bound = server.address();
      server.close(() => resolve(bound !== null && typeof bound === 'object' ? bound.port : port));
    });
  });
}
