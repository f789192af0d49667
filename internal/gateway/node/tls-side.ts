import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { ListenConfig } from '../../config/config.js';
import { peerOf } from './acceptor.js';

/** Time for a TLS handshake; SPEC section 4a has it for the head behind it. */
const TLS_TIMEOUT_MS = 10_000;

type TlsFiles = NonNullable<ListenConfig['tls']>;

/** TLS on accepted connections. */
export class TlsSide {
  readonly #server: TlsServer;

  /**
   * @param onStream hears of each connection after its handshake, with the peer's address in canonical form.
   * @throws Error when the files are of no use.
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

  /** Begins the handshake on a connection, whose own failures are heard already. */
  take(stream: Socket): void {
    this.#server.emit('connection', stream);
  }

  /** From now on shows the certificate that the files hold now. @throws Error when they are of no use. */
  renew(): void {
    this.#server.setSecureContext(keyPair(this.files));
  }
}

function keyPair({ certFile, keyFile }: TlsFiles): { readonly cert: Buffer; readonly key: Buffer } {
  return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
}
