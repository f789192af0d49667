import { fromUnknown, GatewayError } from '../../errors.js';
import { type Cancellation, cancelled } from '../pool/cancellation.js';
import type { SocketOwner, SocketTarget, UpstreamSocket } from '../socket/socket.js';
import { UpstreamConnection } from './connection.js';
import type { ConnectionTenancy } from './connection-ending.js';
import type { ConnectionShared } from './connection-shared.js';
import { DialFailure } from './dial-failure.js';
import type { OpeningRequest } from './opening-request.js';
import { readAnswer } from './response-head.js';

export interface HandshakeOptions {
  readonly target: SocketTarget;
  readonly request: OpeningRequest;
  /** For TCP, TLS and the opening handshake together. */
  readonly timeoutMs: number;
  readonly shared: ConnectionShared;
  readonly tenancy: ConnectionTenancy;
  readonly cancellation: Cancellation | undefined;
}

/**
 * Dials once.
 * @throws DialFailure, or GatewayError ERR_DIAL_CANCELLED when it was cancelled. The socket is destroyed
 *   then.
 */
export function shakeHands(options: HandshakeOptions): Promise<UpstreamConnection> {
  return new Promise((resolve, reject) => {
    if (options.cancellation?.cancelled) reject(cancelled());
    else new Handshake(options, resolve, reject).begin();
  });
}

const NOTHING = Buffer.alloc(0);
const CONNECTING = 'the connection';

class Handshake implements SocketOwner {
  #socket: UpstreamSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #received: Buffer = NOTHING;
  #stage: string = CONNECTING;
  #done: boolean = false;

  constructor(
    readonly options: HandshakeOptions,
    readonly resolve: (connection: UpstreamConnection) => void,
    readonly reject: (error: GatewayError) => void,
  ) {}

  begin(): void {
    const { target, shared, timeoutMs, cancellation } = this.options;
    this.#timer = setTimeout(Handshake.#timedOut, timeoutMs, this);
    cancellation?.watch(() => this.#fail(cancelled()));
    try {
      this.#socket = shared.sockets.open(target, this);
    } catch (thrown) {
      this.socketFailed(fromUnknown(thrown));
    }
  }

  static #timedOut(handshake: Handshake): void {
    const { timeoutMs } = handshake.options;
    handshake.#fail(handshake.#failure(`${handshake.#stage} was not complete in ${timeoutMs} ms`));
  }

  socketReady(): void {
    if (this.#done) return;
    this.#stage = 'the opening handshake';
    this.#socket?.write(this.options.request.bytes);
  }

  socketRead(length: number): boolean {
    const socket = this.#socket;
    if (this.#done || socket === undefined) return false;
    const { shared, request, tenancy } = this.options;
    const read = shared.sockets.readBuffer.bytes.subarray(0, length);
    const received = this.#received.length === 0 ? read : Buffer.concat([this.#received, read]);
    const answer = readAnswer(received, request);
    if (answer.kind === 'incomplete') {
      // The next read of any socket overwrites this one.
      this.#received = received === read ? Buffer.from(read) : received;
      return true;
    }
    if (answer.kind === 'refused') {
      this.#fail(new DialFailure(answer.why, answer.status, 'handshake'));
      return false;
    }
    this.#settle();
    // Frames behind the head are copied to memory of their own, as the buffer they came in may be much
    // larger.
    const kept =
      received.length === answer.headBytes ? NOTHING : Buffer.from(received.subarray(answer.headBytes));
    this.resolve(new UpstreamConnection(socket, shared, tenancy, answer.subprotocol, kept));
    // Paused: an end of the connection behind frames that were not taken yet would lose them.
    return kept.length === 0;
  }

  socketEnded(): void {
    this.#fail(this.#failure(`it ended the connection during ${this.#stage}`));
  }

  socketFailed(error: Error): void {
    // Not the endpoint's fault: it was never dialled.
    if (error instanceof GatewayError) return this.#fail(error);
    // If every address of a host failed, the error has a code and no message.
    const why = error.message || (error as NodeJS.ErrnoException).code;
    this.#fail(this.#failure(`${this.#stage} failed: ${why}`, error));
  }

  socketClosed(): void {
    this.#fail(this.#failure(`it dropped the connection during ${this.#stage}`));
  }

  /** Once the request is sent, TCP and TLS have succeeded. */
  #failure(message: string, cause?: Error): DialFailure {
    const fault = this.#stage === CONNECTING ? 'unreachable' : 'handshake';
    return new DialFailure(message, undefined, fault, { cause });
  }

  #settle(): void {
    this.#done = true;
    this.#received = NOTHING;
    clearTimeout(this.#timer);
    this.options.cancellation?.watch(undefined);
  }

  #fail(error: GatewayError): void {
    if (this.#done) return;
    this.#settle();
    this.#socket?.destroy();
    this.reject(error);
  }
}
