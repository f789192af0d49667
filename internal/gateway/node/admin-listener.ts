import type { Socket } from 'node:net';
import type { ListenConfig } from '../../config/config.js';
import { isForbiddenMethod } from '../../request/methods.js';
import type { Sockets } from '../../upstream/socket/sockets.js';
import { refusalAnswer } from '../answer.js';
import type { HttpEndpoints } from '../endpoints.js';
import type { Gate } from '../gate.js';
import { type Accepted, type Acceptor, createAcceptor, discard, peerOf } from './acceptor.js';
import { StreamConnection, streamOf } from './connection.js';
import { HttpSide } from './http-side.js';
import type { HandedConnections } from './listener.js';
import { TlsSide } from './tls-side.js';

export interface AdminListenerParts {
  readonly address: NonNullable<ListenConfig['admin']>;
  readonly tls: ListenConfig['tls'];
  /** Counts and logs what is refused. */
  readonly gate: Pick<Gate, 'turnAwayUnread' | 'sessionParts'>;
  readonly endpoints: HttpEndpoints;
}

/**
 * The gateway's own endpoints on an address of their own, ADMIN_HOST and ADMIN_PORT. On node:http
 * whoever accepts clients, and its connections count for no limit: an orchestrator gets its answer
 * however many clients there are.
 */
export class AdminListener {
  readonly #http: HttpSide;
  readonly #acceptor: Acceptor;
  readonly #tls: TlsSide | undefined;
  #serving: boolean = false;

  /** @param handed undefined: this process accepts itself. */
  constructor(
    readonly parts: AdminListenerParts,
    readonly sockets: Sockets,
    readonly handed: HandedConnections | undefined,
  ) {
    const { gate, endpoints, tls } = parts;
    this.#http = new HttpSide({
      ...{ endpoints, wheel: gate.sessionParts.wheel },
      gate: {
        turnAwayUnread: (head, status) => gate.turnAwayUnread(head, status),
        // There is nothing else here: no route, no WebSocket.
        turnAway: (head) =>
          refusalAnswer(gate.turnAwayUnread(head, isForbiddenMethod(head.method) ? 501 : 404)),
      },
    });
    this.#acceptor = createAcceptor(sockets.tcp?.binding ?? null, (accepted) => this.#accept(accepted));
    this.#tls = tls && new TlsSide(tls, (stream, peer) => this.#take(stream, peer));
  }

  /**
   * Binds the address; connections are dropped until `serve`.
   * @returns the port, which differs from the configured one when that is 0.
   * @throws GatewayError ERR_LISTEN
   */
  async listen(): Promise<number> {
    const { host, port } = this.parts.address;
    if (this.handed === undefined) return this.#acceptor.listen(host, port, 'ADMIN_');
    this.handed.start((accepted) => this.#accept(accepted));
    return port;
  }

  /** Clients are served by now: so is everybody here. */
  serve(): void {
    this.#serving = true;
  }

  /** @throws Error when the certificate's files are of no use: then nothing has changed. */
  renewCertificate(): void {
    this.#tls?.renew();
  }

  /** Stops listening and cuts off whoever is left. */
  close(): void {
    this.#serving = false;
    this.#acceptor.close();
    this.#http.close();
  }

  #accept(accepted: Accepted): void {
    const peer = peerOf(accepted);
    if (peer === undefined || !this.#serving) return discard(accepted);
    const stream = streamOf(accepted);
    if (this.#tls === undefined) this.#take(stream, peer);
    else this.#tls.take(stream);
  }

  #take(stream: Socket, peer: string): void {
    const connection = new StreamConnection(this.sockets.readBuffer, stream, peer);
    this.#http.take(connection.asStream(NOTHING), peer);
  }
}

const NOTHING = Buffer.alloc(0);
