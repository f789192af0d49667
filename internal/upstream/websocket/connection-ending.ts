import { type ErrorCode, fromUnknown, GatewayError } from '../../errors.js';
import { Opcode } from '../../websocket/frame.js';
import { FrameDecoder } from '../../websocket/frame-decoder.js';
import type { FrameSource } from '../../websocket/frame-source.js';
import { OwnFrames, type Speaker } from '../../websocket/own-frames.js';
import type { TenancyEnd } from '../pool/tenancy.js';
import type { UpstreamSocket } from '../socket/socket.js';
import type { ConnectionShared } from './connection-shared.js';
import type { UpstreamListener } from './message-listener.js';

/** The part of `Tenancy` that a connection needs; a health check has a stand-in. */
export interface ConnectionTenancy {
  /** The endpoint's name. */
  readonly name: string;
  /** See `Tenancy`. */
  readonly evicted: boolean;
  /** See `Tenancy.farewell`. */
  farewell: { readonly disconnected: boolean } | undefined;
  /** Called once, when no message can pass any more. */
  ended(end: TenancyEnd): void;
}

/**
 * The gateway's own frames to an upstream, and the end of their connection, with the closing handshake or
 * without.
 */
export abstract class ConnectionEnding extends FrameDecoder implements Speaker {
  /**
   * `closing`: our close frame was sent first and the upstream's is awaited. `ended`: nothing more is sent.
   */
  protected state: 'open' | 'closing' | 'ended' = 'open';
  protected listener:
    | Pick<UpstreamListener, 'onUpstreamDrain' | 'onUpstreamClose' | 'onUpstreamLost'>
    | undefined;
  /** The source of the frames that pass to the upstream. */
  source: FrameSource | undefined;
  /** Why the upstream was lost before there was a listener. */
  #lostEarly: GatewayError | undefined;
  #closeTimer: NodeJS.Timeout | undefined;
  #own: OwnFrames | undefined;

  /** @param socket its opening handshake is done. */
  constructor(
    readonly socket: UpstreamSocket,
    readonly shared: ConnectionShared,
    readonly tenancy: ConnectionTenancy,
  ) {
    super();
  }

  /** Reads from now on, whatever becomes of it. */
  protected abstract read(): void;
  /** Reads nothing any more. */
  protected abstract stop(): void;
  /** What is read until the upstream's own close frame is dropped, and so need not wait for the client. */
  protected abstract get dropsRest(): boolean;

  /** Whether no message can pass any more. */
  get ended(): boolean {
    return this.state === 'ended';
  }

  /** Made with the first frame of the gateway's own: most connections send none before their close frame. */
  protected get own(): OwnFrames {
    this.#own ??= new OwnFrames(this);
    return this.#own;
  }

  /** Whether something waits for the end of the frame that passes to the upstream. */
  get hasDue(): boolean {
    return this.#own?.areDue === true;
  }

  /** Whether our close frame is among it. */
  protected get isCloseDue(): boolean {
    return this.#own?.isCloseDue === true;
  }

  /** Answers pings that were put off, at the end of a read or when the upstream has taken all that waited. */
  protected settle(): void {
    this.#own?.settle();
  }

  /** The frame that passed to the upstream has come to its end. */
  atBoundary(): void {
    this.#own?.atBoundary();
  }

  /** @internal */
  closeSaid(): void {
    if (this.state === 'ended') this.#hangUp();
  }

  /** @internal */
  say(opcode: number, payload: Buffer): void {
    const { writer } = this.shared;
    writer.write(this.socket, opcode, payload);
    if (opcode === Opcode.CLOSE) writer.flush();
  }

  ping(): void {
    if (this.state === 'open') this.own.ping();
  }

  override onPing(payload: Buffer): void {
    if (this.state === 'open') this.own.pong(payload);
  }

  /**
   * Starts the closing handshake: what was sent goes out first, messages that still come in are
   * dropped, and the socket is gone within the control timeout. The listener hears the upstream's close
   * frame, or that it never came.
   * @param code 1005: a close frame without a code.
   */
  close(code: number, reason: string): void {
    if (this.state !== 'open') return;
    this.state = 'closing';
    // In the middle of a frame that will never be complete no close frame can be sent.
    if (this.own.close(code, reason) === 'impossible') {
      this.end('destroyed');
      return this.destroySocket();
    }
    this.#destroyInTime();
    if (this.dropsRest) this.read();
  }

  override onClose(code: number, reason: string): void {
    if (this.state === 'ended') return;
    const isAnswer = this.state === 'closing' && !this.isCloseDue;
    // RFC 6455 §5.5.1: answered with the same code, unless ours went first.
    if (this.state === 'open') this.own.close(code, '');
    const { listener } = this;
    this.listener = undefined;
    this.end('closed');
    // All that was written has been taken: nothing can be lost any more.
    if (isAnswer && this.socket.writableLength === 0) this.socket.close();
    else if (this.isCloseDue) this.#destroyInTime();
    else this.#hangUp();
    listener?.onUpstreamClose(code, reason);
  }

  override onViolation(code: number, why: string): void {
    if (this.state === 'open' && this.source?.midFrame !== true) this.own.close(code, '');
    this.#lost('ERR_UPSTREAM_PROTOCOL', `the upstream broke RFC 6455: ${why}`);
    this.#hangUp();
  }

  /** Drops the connection; the listener is not called any more. */
  destroy(): void {
    this.listener = undefined;
    this.#lostEarly = undefined;
    this.end('destroyed');
    this.destroySocket();
  }

  /** @internal */
  socketEnded(): void {
    this.#lost('ERR_UPSTREAM_LOST', 'the upstream ended the connection without a close frame', 'hung-up');
    this.destroySocket();
  }

  /** @internal */
  socketFailed(error: Error): void {
    this.#lost('ERR_UPSTREAM_LOST', `the upstream connection failed: ${error.message}`, 'lost', error);
    this.destroySocket();
  }

  /** @internal */
  socketClosed(): void {
    this.#lost('ERR_UPSTREAM_LOST', 'the upstream connection was dropped');
    clearTimeout(this.#closeTimer);
  }

  /**
   * Ends our side; what still comes is read and dropped, as unread bytes would make the kernel reset the
   * connection.
   */
  #hangUp(): void {
    this.socket.end();
    this.read();
    this.#destroyInTime();
  }

  #destroyInTime(): void {
    this.#closeTimer ??= setTimeout(ConnectionEnding.#timedOut, this.shared.controlTimeoutMs, this);
  }

  static #timedOut(connection: ConnectionEnding): void {
    connection.#lost('ERR_UPSTREAM_LOST', 'the upstream did not answer the close frame in time');
    connection.destroySocket();
  }

  #lost(code: ErrorCode, message: string, end: TenancyEnd = 'lost', cause?: unknown): void {
    if (this.state === 'ended') return;
    this.#lostEarly = new GatewayError(code, message, { cause });
    // An upstream that just ends TCP when told to close is not faulty.
    this.end(this.state === 'closing' ? 'destroyed' : end);
    this.tellLost();
  }

  /** Tells the listener, which is set by now, if the upstream has been lost. */
  protected tellLost(): void {
    const { listener } = this;
    const error = this.#lostEarly;
    if (listener === undefined || error === undefined) return;
    this.listener = undefined;
    this.#lostEarly = undefined;
    try {
      listener.onUpstreamLost(error);
    } catch {
      // The connection is gone already.
    }
  }

  /** A listener that throws loses its own connection only. */
  protected listenerFailed(thrown: unknown): void {
    const { ended } = this;
    this.end('destroyed');
    this.destroySocket();
    if (ended) return;
    const cause = fromUnknown(thrown);
    this.#lostEarly = new GatewayError('ERR_SESSION_FAILED', `the session failed: ${cause.message}`, {
      cause,
    });
    this.tellLost();
  }

  protected end(end: TenancyEnd): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.stop();
    this.tenancy.ended(end);
  }

  protected destroySocket(): void {
    this.#own?.stop();
    this.shared.writer.discard(this.socket);
    this.socket.destroy();
  }
}
