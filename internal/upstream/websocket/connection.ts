import { type ErrorCode, fromUnknown, GatewayError } from '../../errors.js';
import type { TenancyEnd } from '../pool/tenancy.js';
import type { SocketOwner, UpstreamSocket } from '../socket/socket.js';
import type { ConnectionShared } from './connection-shared.js';
import { closePayload, Opcode } from './frame.js';
import { FrameDecoder } from './frame-decoder.js';
import type { FragmentPosition, UpstreamListener } from './message-listener.js';
import type { BatchReader } from './read-batch.js';

/** What an endpoint keeps of a connection: a `Tenancy`, or nothing. */
export interface ConnectionTenancy {
  /** The endpoint's name. */
  readonly name: string;
  /** Called once, when no more messages can go either way. */
  ended(end: TenancyEnd): void;
}

const NOTHING = Buffer.alloc(0);

/** Pings of one read that are answered one by one. */
const MAX_PONGS_PER_READ = 16;

/**
 * An open WebSocket connection to an upstream. It reads nothing until `start`. Payloads given to `send` are copied before
 * it returns, payloads handed to the listener are valid during the call only.
 */
export class UpstreamConnection extends FrameDecoder implements SocketOwner, BatchReader {
  /** Set by every read; whoever watches for silence takes it back. */
  heard = false;
  /** `closing`: our close frame went first and the upstream's is awaited. `ended`: all has been said. */
  #state: 'open' | 'closing' | 'ended' = 'open';
  #paused: boolean = true;
  #listener: UpstreamListener | undefined;
  /** What came before `start`. */
  #kept: Buffer | undefined;
  /** Why the upstream was lost before `start`. */
  #lostEarly: GatewayError | undefined;
  /** Payload of the latest ping that has not been answered (RFC 6455 §5.5.3: older ones need no answer). */
  #ping: Buffer | undefined;
  /** Pings answered in the present read. */
  #pongs = 0;
  #closeTimer: NodeJS.Timeout | undefined;

  /**
   * @param socket its opening handshake is done and its reading has stopped.
   * @param kept bytes that came behind the response head; owned by the connection.
   * @param subprotocol the one the upstream chose.
   */
  constructor(
    readonly socket: UpstreamSocket,
    readonly shared: ConnectionShared,
    readonly tenancy: ConnectionTenancy,
    readonly subprotocol: string | undefined,
    kept: Buffer,
  ) {
    super();
    if (kept.length > 0) this.#kept = kept;
    socket.owner = this;
  }

  /** Whether no more messages can go either way. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** Bytes accepted by `send` and not yet taken by the kernel. */
  get bufferedBytes(): number {
    return this.socket.writableLength + this.shared.writer.pendingBytes(this.socket);
  }

  /** Bytes that have left the process: it grows as long as the upstream takes anything, give or take one write. */
  get takenBytes(): number {
    return this.socket.bytesWritten - this.socket.writableLength;
  }

  /**
   * Begins to read. The listener may be called before this returns, with what came along with the response head or with
   * the loss of the connection.
   */
  start(listener: UpstreamListener): void {
    this.#listener = listener;
    if (this.#lostEarly !== undefined) this.#tellLost(this.#lostEarly);
    if (this.#state !== 'open') return;
    const kept = this.#kept;
    this.#kept = undefined;
    this.#paused = false;
    if (kept !== undefined) this.#receive(kept, kept.length);
    if (!this.#paused) this.socket.resume();
  }

  /** Stops reading; what has been read already is still delivered. */
  pause(): void {
    if (this.#paused || this.#state !== 'open') return;
    this.#paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#paused || this.#listener === undefined) return;
    this.#paused = false;
    this.socket.resume();
  }

  /** Sends a whole message; dropped once the connection is closing. */
  send(payload: Uint8Array, isBinary: boolean): void {
    if (this.#state !== 'open') return;
    this.shared.writer.write(this.socket, isBinary ? Opcode.BINARY : Opcode.TEXT, payload);
  }

  ping(): void {
    if (this.#state === 'open') this.shared.writer.write(this.socket, Opcode.PING, NOTHING);
  }

  /**
   * Starts the closing handshake: what was sent goes out first, messages that still come in are dropped, and the socket is
   * gone within the control timeout. The listener hears the upstream's close frame, or that it never came.
   * @param code 1005: a close frame without a code.
   */
  close(code: number, reason: string): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#ping = undefined;
    this.#kept = undefined;
    this.#paused = false;
    this.#writeClose(code, reason);
    this.#destroyInTime();
    this.socket.resume();
  }

  /** Drops the connection; the listener is not called any more. */
  destroy(): void {
    this.#listener = undefined;
    this.#lostEarly = undefined;
    this.#end('destroyed');
    this.#destroySocket();
  }

  /** @internal */
  socketRead(length: number): boolean {
    this.heard = true;
    const { bytes } = this.shared.sockets.readBuffer;
    if (this.#listener === undefined && this.#state === 'open') {
      // TLS hands over what it has decrypted even after it was told to stop.
      this.#kept = Buffer.concat([this.#kept ?? NOTHING, bytes.subarray(0, length)]);
      return false;
    }
    this.#receive(bytes, length);
    return !this.#paused || this.#state !== 'open';
  }

  /** @internal */
  socketDrained(): void {
    if (this.#state !== 'open') return;
    if (this.#ping !== undefined) this.#pong(this.#ping);
    try {
      this.#listener?.onUpstreamDrain();
    } catch (thrown) {
      this.#listenerFailed(thrown);
    }
  }

  /** @internal */
  socketEnded(): void {
    this.#lost('ERR_UPSTREAM_LOST', 'the upstream ended the connection without a close frame', 'hung-up');
    this.#destroySocket();
  }

  /** @internal */
  socketFailed(error: Error): void {
    this.#lost('ERR_UPSTREAM_LOST', `the upstream connection failed: ${error.message}`, 'lost', error);
    this.#destroySocket();
  }

  /** @internal */
  socketClosed(): void {
    this.#lost('ERR_UPSTREAM_LOST', 'the upstream connection was dropped');
    clearTimeout(this.#closeTimer);
  }

  #receive(chunk: Buffer, end: number): void {
    this.#pongs = 0;
    try {
      const listener = this.#listener;
      if (listener === undefined || this.#state !== 'open' || this.isOneFrame(chunk, end))
        this.decode(chunk, end);
      else this.shared.batch.run(listener, this, chunk, end);
      if (this.#ping !== undefined) this.#pong(this.#ping);
    } catch (thrown) {
      this.#listenerFailed(thrown);
    }
  }

  protected override slice(chunk: Buffer, start: number, end: number): Buffer {
    const { readBuffer } = this.shared.sockets;
    return chunk === readBuffer.bytes ? readBuffer.view(start, end) : chunk.subarray(start, end);
  }

  protected override onMessage(payload: Buffer, isBinary: boolean): void {
    if (this.#state === 'open') this.#listener?.onUpstreamMessage(payload, isBinary);
  }

  protected override onFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void {
    if (this.#state === 'open') this.#listener?.onUpstreamFragment(payload, isBinary, position);
  }

  /**
   * Each ping is answered while they come in reason; of a flood, the latest of each read. Nothing is answered behind bytes
   * that the upstream does not take, so that pings cannot make the gateway buffer.
   */
  protected override onPing(payload: Buffer): void {
    if (this.#pongs++ < MAX_PONGS_PER_READ) this.#pong(payload);
    else this.#ping = payload;
  }

  #pong(payload: Buffer): void {
    this.#ping = undefined;
    if (this.#state !== 'open') return;
    if (this.socket.writableLength > 0) this.#ping = Buffer.from(payload);
    else this.shared.writer.write(this.socket, Opcode.PONG, payload);
  }

  protected override onClose(code: number, reason: string): void {
    if (this.#state === 'ended') return;
    // RFC 6455 §5.5.1: answered with the same code, unless ours went first.
    if (this.#state === 'open') this.#writeClose(code, '');
    const listener = this.#listener;
    this.#listener = undefined;
    this.#end('closed');
    this.#hangUp();
    listener?.onUpstreamClose(code, reason);
  }

  protected override onViolation(code: number, why: string): void {
    if (this.#state === 'open') this.#writeClose(code, '');
    this.#lost('ERR_UPSTREAM_PROTOCOL', `the upstream broke RFC 6455: ${why}`);
    this.#hangUp();
  }

  #writeClose(code: number, reason: string): void {
    this.shared.writer.write(this.socket, Opcode.CLOSE, closePayload(code, reason));
    this.shared.writer.flush();
  }

  /** Ends our side; what still comes is read and dropped, as unread bytes would turn our close frame into a reset. */
  #hangUp(): void {
    this.#paused = false;
    this.socket.end();
    this.socket.resume();
    this.#destroyInTime();
  }

  #destroyInTime(): void {
    this.#closeTimer ??= setTimeout(UpstreamConnection.#timedOut, this.shared.controlTimeoutMs, this);
  }

  static #timedOut(connection: UpstreamConnection): void {
    connection.#lost('ERR_UPSTREAM_LOST', 'the upstream did not answer the close frame in time');
    connection.#destroySocket();
  }

  #lost(code: ErrorCode, message: string, end: TenancyEnd = 'lost', cause?: unknown): void {
    if (this.#state === 'ended') return;
    const error = new GatewayError(code, message, { cause });
    // An upstream that just hangs up when told to close is no worse for it.
    this.#end(this.#state === 'closing' ? 'destroyed' : end);
    if (this.#listener === undefined) this.#lostEarly = error;
    else this.#tellLost(error);
  }

  #tellLost(error: GatewayError): void {
    try {
      this.#listener?.onUpstreamLost(error);
    } catch {
      // It has nothing left to lose: the connection is gone.
    }
    this.#listener = undefined;
    this.#lostEarly = undefined;
  }

  /** A listener that throws loses its connection, and nobody else does. */
  #listenerFailed(thrown: unknown): void {
    const ended = this.#state === 'ended';
    this.#end('destroyed');
    this.#destroySocket();
    if (ended) return;
    const cause = fromUnknown(thrown);
    this.#tellLost(new GatewayError('ERR_SESSION_FAILED', `the session failed: ${cause.message}`, { cause }));
  }

  #end(end: TenancyEnd): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#ping = undefined;
    this.#kept = undefined;
    this.stopDecoding();
    this.tenancy.ended(end);
  }

  #destroySocket(): void {
    this.shared.writer.discard(this.socket);
    this.socket.destroy();
  }
}
