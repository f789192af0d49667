import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { ListenConfig } from '../../config/config.js';
import { peerOf } from './acceptor.js';

/** Time for a TLS handshake, the same as for the head that follows it (SPEC section 4a). */
const TLS_TIMEOUT_MS = 10_000;

type TlsFiles = NonNullable<ListenConfig['tls']>;

/** TLS on accepted connections. */
export class TlsSide {
  readonly #server: TlsServer;

  /**
   * @param onStream hears of each connection after its handshake, with the peer's address in canonical form.
   * @throws Error when the files cannot be used.
   */
  constructor(
    readonly files: TlsFiles,
    onStream: (stream: TLSSocket, peer: string) => void,
  ) {
    this.#server = createServer({
      ...keyPair(files),
      allowHalfOpen: true,
      handshakeTimeout: TLS_TIMEOUT_MS,
      ALPNProtocols: ['http/1.1', 'http/1.0'],
    })
      .on('secureConnection', (stream: TLSSocket) => {
        const peer = peerOf(stream);
        if (peer === undefined) stream.destroy();
        else onStream(stream, peer);
      })
      .on('tlsClientError', (_error, stream) => stream.destroy());
  }

  /** Begins the TLS handshake on a connection that has an error listener already. */
  take(stream: Socket): void {
    this.#server.emit('connection', stream);
  }

  /** Reads the certificate files again, for new connections. @throws Error when they cannot be used. */
  renew(): void {
    this.#server.setSecureContext(keyPair(this.files));
  }
}

function keyPair({ certFile, keyFile }: TlsFiles): { readonly cert: Buffer; readonly key: Buffer } {
  return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
}
