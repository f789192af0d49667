import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Gateway, startGateway } from '../../test/support/gateway/gateway.js';
import type { Issuer } from '../../test/support/servers/issuer.js';

/**
 * Starts a gateway before an upstream of this process, for as long as `work` takes.
 * @param rules of its one route.
 * @param work is given what clients have to send along.
 */
export async function beforeUpstream<T>(
  { upstream, issuer, rules }: { readonly upstream: Server; readonly issuer: Issuer; readonly rules: object },
  work: (gateway: Gateway, headers: { readonly Authorization: string }) => Promise<T>,
): Promise<T> {
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const { port } = upstream.address() as AddressInfo;
  const gateway = await startGateway({
    env: { JWKS_URL: issuer.jwksUrl, LOG_LEVEL: 'warn' },
    routes: [{ prefix: '/', upstream: `http://127.0.0.1:${port}/`, ...rules }],
  });
  try {
    return await work(gateway, { Authorization: `Bearer ${issuer.sign({ sub: 'bench' })}` });
  } finally {
    await gateway.stop('SIGKILL');
    upstream.closeAllConnections();
    upstream.close();
  }
}
