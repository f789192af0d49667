import type { RouteTls } from '../../config/config.js';
import type { SocketTarget } from './socket.js';
import type { TlsContexts } from './tls-contexts.js';

/** The part of an endpoint that a connection to it needs. */
interface Place {
  readonly address: { readonly hostname: string; readonly port: number; readonly secure: boolean };
  readonly tls: RouteTls | undefined;
  readonly admits?: ((address: string) => boolean) | undefined;
}

/** The address and TLS settings of a connection. @throws what OpenSSL says of bad TLS settings. */
export function targetOf({ address, tls, admits }: Place, contexts: TlsContexts): SocketTarget {
  const { hostname: host, port, secure } = address;
  if (!secure) return { host, port, admits, tls: undefined };
  const context = contexts.of(tls);
  return {
    ...{ host, port, admits },
    tls: { context, serverName: tls?.serverName, verify: tls?.insecureSkipVerify !== true },
  };
}
