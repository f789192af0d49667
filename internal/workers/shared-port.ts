import { type Accepted, type Acceptor, createAcceptor, discard } from '../gateway/node/acceptor.js';
import { tcpBinding } from '../upstream/socket/tcp-binding.js';
import type { Door } from './handed-connections.js';
import type { WorkerProcess } from './worker-process.js';

/**
 * The port of several workers: the supervisor accepts and hands each connection to the next worker, so that
 * all get the same share of new clients. The kernel would not spread them evenly.
 */
export class SharedPort {
  readonly #acceptor: Acceptor;
  #turn = 0;

  /** @param workers all of them, those that do not serve yet too. */
  constructor(
    readonly door: Door,
    readonly workers: () => readonly WorkerProcess[],
  ) {
    this.#acceptor = createAcceptor(tcpBinding(), (accepted) => this.#hand(accepted));
  }

  /** @returns the port. @throws GatewayError ERR_LISTEN */
  listen(host: string, port: number): Promise<number> {
    return this.#acceptor.listen(host, port, this.door === 'admin' ? 'ADMIN_' : '');
  }

  close(): void {
    this.#acceptor.close();
  }

  #hand(accepted: Accepted): void {
    const serving = this.workers().filter(({ takesClients }) => takesClients);
    const answering = serving.filter(({ answers }) => answers);
    // If no worker answers, the machine is busy and none of them is to blame.
    const able = answering.length > 0 ? answering : serving;
    const worker = able[this.#turn++ % able.length];
    if (worker === undefined) discard(accepted);
    else worker.hand(accepted, this.door);
  }
}
