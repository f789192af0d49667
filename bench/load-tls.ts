import { readFileSync } from 'node:fs';
import type { OnReadOpts, Socket } from 'node:net';
import { type ConnectionOptions, connect, createSecureContext, type TLSSocket } from 'node:tls';

/** One cipher suite and one curve, so that every server does the same work. */
const CIPHER_SUITE = 'TLS_AES_128_GCM_SHA256';
const CURVE = 'X25519';

/** What the TLS connections of a load generator have in common. */
export class TlsClients {
  readonly context: NonNullable<ConnectionOptions['secureContext']>;
  /** Protocol, cipher suite and key exchange that was agreed upon. */
  agreed = '';
  connections = 0;
  /** Connections that took up an earlier session (RFC 8446 §2.2). */
  resumed = 0;
  /** The newest session ticket. */
  #session: Buffer | undefined;

  /** @param resumes whether connections take up the session of an earlier one. */
  constructor(
    certFile: string,
    readonly resumes: boolean,
  ) {
    this.context = createSecureContext({
      ca: readFileSync(certFile),
      minVersion: 'TLSv1.3',
      ciphers: CIPHER_SUITE,
      ecdhCurve: CURVE,
    });
  }

  get session(): Buffer | undefined {
    return this.resumes ? this.#session : undefined;
  }

  countAnew(): void {
    this.connections = 0;
    this.resumed = 0;
  }

  watch(socket: TLSSocket): void {
    if (this.resumes)
      socket.on('session', (session) => {
        this.#session = session;
      });
    socket.once('secureConnect', () => {
      this.connections++;
      if (socket.isSessionReused()) this.resumed++;
      if (this.agreed !== '') return;
      const { name } = socket.getEphemeralKeyInfo() as { readonly name?: string };
      this.agreed = `${socket.getProtocol()} ${socket.getCipher().standardName} ${name}`;
    });
  }
}

interface Where {
  readonly host: string;
  readonly port: number;
  readonly onread: OnReadOpts;
}

/** A TLS connection that checks the server's certificate. */
export function connectTls(where: Where, clients: TlsClients): Socket {
  const { context, session } = clients;
  const options: ConnectionOptions = { ...where, secureContext: context, ...(session ? { session } : {}) };
  const socket = connect(options);
  socket.setNoDelay(true);
  clients.watch(socket);
  return socket;
}
