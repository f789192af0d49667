import type { ClientHandshake, ClientSocket } from '../../session/client-socket.js';
import type { Session } from '../../session/session.js';
import type { SocketOwner, UpstreamSocket } from '../../upstream/socket/socket.js';
import { refusalAnswer } from '../answer.js';
import { lastAnswer, switchingProtocols } from './answer-bytes.js';
import { type ClientSocketShared, NodeClientSocket } from './client-socket.js';

/** What a client may send before its 101; none should send anything (RFC 6455 §4.1). */
const MAX_EARLY_BYTES = 16_384;

/** How long a client that is turned away may take to close the connection. */
const LAST_ANSWER_MS = 2000;

/** A request for an upgrade that may be answered now or later. */
export class NodeHandshake implements ClientHandshake, SocketOwner {
  #early: Buffer;
  /** `answered`: this handshake is over; after a 101 the socket has another owner. */
  #state: 'waiting' | 'answered' | 'gone' = 'waiting';

  /**
   * @param socket which it owns from now on.
   * @param early what came behind the request's head.
   */
  constructor(
    readonly socket: UpstreamSocket,
    readonly key: string,
    readonly offered: readonly string[],
    early: Buffer,
    readonly session: Session,
    readonly shared: ClientSocketShared,
  ) {
    this.#early = early;
    socket.owner = this;
  }

  accept(subprotocol: string | undefined): ClientSocket | undefined {
    if (this.#state !== 'waiting') return undefined;
    this.#state = 'answered';
    const { socket } = this;
    socket.write(switchingProtocols(this.key, subprotocol, this.session.id));
    const client = new NodeClientSocket(socket, this.shared);
    const early = this.#early;
    // After the session's present call, which does not have the socket yet.
    process.nextTick(() => client.start(this.session, early));
    return client;
  }

  turnAway(retryAfterSeconds: number): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'answered';
    this.socket.write(lastAnswer(refusalAnswer(503, retryAfterSeconds), false));
    this.socket.end();
    setTimeout(() => this.socket.destroy(), LAST_ANSWER_MS).unref();
  }

  socketRead(length: number): boolean {
    if (this.#state !== 'waiting') return true;
    const { bytes } = this.shared.readBuffer;
    this.#early = Buffer.concat([this.#early, bytes.subarray(0, length)]);
    // Beyond that, the rest stays in the kernel's buffer.
    return this.#early.length < MAX_EARLY_BYTES;
  }

  socketEnded(): void {
    this.socket.destroy();
  }

  socketFailed(): void {}

  socketClosed(): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'gone';
    this.session.onClientClosed(1006, '');
  }
}
