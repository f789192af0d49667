import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Configuration, Provider } from 'oidc-provider';
import { haveUrlParse } from '../../../cmd/demo/services/url-parse.js';

/** oidc-provider on a free port of 127.0.0.1. */
export interface RunningProvider {
  readonly url: string;
  readonly provider: Provider;
  close(): Promise<void>;
}

/** @param configure may depend on the address that it will have. */
export async function startProvider(
  configure: (url: string) => Configuration | Promise<Configuration>,
): Promise<RunningProvider> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  haveUrlParse();
  const provider = new Provider(url, await configure(url));
  const callback = provider.callback();
  server.on('request', (request, response) => callback(request, response));
  return {
    url,
    provider,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
