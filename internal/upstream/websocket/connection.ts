import type { CloseCode } from '../../close-codes.js';
import { type ErrorCode, fromUnknown, GatewayError } from '../../errors.js';
import type { TenancyEnd } from '../pool/tenancy.js';
import type { SocketOwner, UpstreamSocket } from '../socket/socket.js';
import type { ConnectionShared } from './connection-shared.js';
import { closePayload, type MaskingKeys, Opcode } from './frame.js';
import { FrameDecoder } from './frame-decoder.js';
import type { FrameSource } from './frame-source.js';
import type { FragmentPosition, UpstreamListener } from './message-listener.js';
import type { BatchReader } from './read-batch.js';
import { type ControlFrames, type UpstreamFrameListener, UpstreamFrames } from './upstream-frames.js';

/** What an endpoint keeps of a connection: a `Tenancy`, or nothing. */
export interface ConnectionTenancy {
  /** The endpoint's name. */
  readonly name: string;
  /** See `Tenancy.farewell`. */
  farewell: { readonly disconnected: boolean } | undefined;
  /** Called once, when no more messages can go either way. */
  ended(end: TenancyEnd): void;
}

const NOTHING = Buffer.alloc(0);
const NOTHING_PASSED = Object.freeze({ messages: 0, payloadBytes: 0 });

/** What Node keeps for a write that waits: its request, a view, and memory of its own: an estimate, on the safe side. */
const WRITE_COST_BYTES = 1100;

/** Pings of one read that are answered one by one. */
const MAX_PONGS_PER_READ = 16;

/**
 * An open WebSocket connection to an upstream. It reads nothing until `start`. Payloads given to `send` are copied before
 * it returns, payloads handed to the listener are valid during the call only.
 */
export class UpstreamConnection extends FrameDecoder implements SocketOwner, BatchReader, ControlFrames {
  /** Set by every read; whoever watches for silence takes it back. */
  heard = false;
  /** `closing`: our close frame went first and the upstream's is awaited. `ended`: all has been said. */
  #state: 'open' | 'closing' | 'ended' = 'open';
  #paused: boolean = true;
  #listener: Pick<UpstreamListener, 'onUpstreamDrain' | 'onUpstreamClose' | 'onUpstreamLost'> | undefined;
  /** The same one, while messages are taken apart for it. */
  #messages: UpstreamListener | undefined;
  /** What came before `start`. */
  #kept: Buffer | undefined;
  /** Why the upstream was lost before `start`. */
  #lostEarly: GatewayError | undefined;
  /** Payload of the latest ping that has not been answered (RFC 6455 §5.5.3: older ones need no answer). */
  #ping: Buffer | undefined;
  /** Pings answered in the present read. */
  #pongs = 0;
  #closeTimer: NodeJS.Timeout | undefined;
  /** Its frames, once they pass as they came; and whose frames pass to it. */
  #frames: UpstreamFrames | undefined;
  #source: FrameSource | undefined;
  /** What waits for the end of a frame that passes to the upstream, beside an unanswered ping. */
  #pingDue: boolean = false;
  #closeDue: CloseCode | undefined;

  /**
   * @param socket its opening handshake is done. It reads: as a rule it is made use of in the same turn.
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

  /** Whether the kernel has not taken all that was written. */
  get blocked(): boolean {
    return this.socket.writableLength > 0;
  }

  /** What they cost the process: a write that waits takes memory beside its bytes. */
  get waitingCost(): number {
    return this.bufferedBytes + this.socket.waitingWrites * WRITE_COST_BYTES;
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
    this.#messages = listener;
    this.#begin();
  }

  /**
   * Instead of `start`: frames pass as they came, to `listener` and, by `write`, from `source`. Call `startPassing` next.
   * @returns what tells where the upstream's own frames begin and end.
   */
  passTo(listener: UpstreamFrameListener, source: FrameSource): FrameSource {
    this.#source = source;
    this.#frames = new UpstreamFrames(this, listener);
    return this.#frames;
  }

  /** As `start`. */
  startPassing(): void {
    this.#listener = this.#frames?.listener;
    this.#begin();
  }

  #begin(): void {
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

  /** Passes frames on as they are. @returns whether the kernel took all of them. */
  write(frames: Buffer): boolean {
    if (this.#state !== 'open' && this.#closeDue === undefined) return true;
    return this.shared.writer.pass(this.socket, frames);
  }

  /** undefined: masking keys pass as they are. */
  get maskingKeys(): MaskingKeys | undefined {
    return this.shared.writer.keys;
  }

  /** Whether a frame of the upstream has been passed on in part. */
  get midFrame(): boolean {
    return this.#frames?.midFrame === true;
  }

  /** What has passed. */
  get passed(): { readonly messages: number; readonly payloadBytes: number } {
    return this.#frames ?? NOTHING_PASSED;
  }

  /** Whether something waits for the end of the frame that passes to the upstream. */
  get hasDue(): boolean {
    return this.#pingDue || this.#closeDue !== undefined || this.#ping !== undefined;
  }

  /** The frame that passed to the upstream has come to its end. */
  atBoundary(): void {
    if (this.#ping !== undefined) this.#pong(this.#ping);
    if (this.#pingDue) {
      this.#pingDue = false;
      this.ping();
    }
    const due = this.#closeDue;
    if (due === undefined) return;
    this.#closeDue = undefined;
    this.#writeClose(due.code, due.reason);
    if (this.#state === 'ended') this.#hangUp();
  }

  /** No more of the upstream's frames pass after the one that is under way. */
  finish(): void {
    this.#frames?.finish();
    if (this.#state !== 'open' && !this.midFrame) this.#read();
  }

  /** Between the pieces of a frame that passes to the upstream nothing else may be said. */
  get #mayWrite(): boolean {
    return this.#source?.midFrame !== true;
  }

  ping(): void {
    if (this.#state !== 'open') return;
    if (this.#mayWrite) this.shared.writer.write(this.socket, Opcode.PING, NOTHING);
    else this.#pingDue = true;
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
    if (this.#mayWrite) this.#writeClose(code, reason);
    else if (this.#source?.stopped === true) return this.#cut();
    else this.#closeDue = { code, reason };
    this.#destroyInTime();
    // What passes to a slow client still waits for it, until `finish`.
    if (this.#frames === undefined) this.#read();
  }

  /** In the middle of a frame that will never be whole there is no place for a close frame. */
  #cut(): void {
    this.#end('destroyed');
    this.#destroySocket();
  }

  #read(): void {
    this.#paused = false;
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
      // Nobody listens yet: the rest waits with the kernel, but for what TLS has decrypted already.
      this.#kept = Buffer.concat([this.#kept ?? NOTHING, bytes.subarray(0, length)]);
      return false;
    }
    this.#receive(bytes, length);
    return !this.#paused || (this.#state !== 'open' && this.#frames === undefined);
  }

  /** @internal */
  socketDrained(): void {
    const listener = this.#frames?.listener ?? this.#listener;
    if (this.#state !== 'open' && this.#closeDue === undefined) return;
    if (this.#ping !== undefined) this.#pong(this.#ping);
    try {
      listener?.onUpstreamDrain();
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
      const listener = this.#messages;
      if (this.#frames !== undefined) this.#frames.walk(chunk, end);
      else if (listener === undefined || this.#state !== 'open' || this.isOneFrame(chunk, end))
        this.decode(chunk, end);
      else this.shared.batch.run(listener, this, chunk, end);
      if (this.#ping !== undefined) this.#pong(this.#ping);
    } catch (thrown) {
      this.#listenerFailed(thrown);
    }
  }

  /** @internal */
  override slice(chunk: Buffer, start: number, end: number): Buffer {
    const { readBuffer } = this.shared.sockets;
    return chunk === readBuffer.bytes ? readBuffer.view(start, end) : chunk.subarray(start, end);
  }

  protected override onMessage(payload: Buffer, isBinary: boolean): void {
    if (this.#state === 'open') this.#messages?.onUpstreamMessage(payload, isBinary);
  }

  protected override onFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void {
    if (this.#state === 'open') this.#messages?.onUpstreamFragment(payload, isBinary, position);
  }

  /**
   * Each ping is answered while they come in reason; of a flood, the latest of each read. Nothing is answered behind bytes
   * that the upstream does not take, so that pings cannot make the gateway buffer.
   */
  override onPing(payload: Buffer): void {
    if (this.#pongs++ < MAX_PONGS_PER_READ) this.#pong(payload);
    else this.#ping = payload;
  }

  #pong(payload: Buffer): void {
    this.#ping = undefined;
    if (this.#state !== 'open') return;
    if (this.socket.writableLength > 0 || !this.#mayWrite) this.#ping = Buffer.from(payload);
    else this.shared.writer.write(this.socket, Opcode.PONG, payload);
  }

  override onClose(code: number, reason: string): void {
    if (this.#state === 'ended') return;
    // RFC 6455 §5.5.1: answered with the same code, unless ours went first.
    const waits = !this.#mayWrite && this.#source?.stopped === false;
    const isAnswer = this.#state === 'closing' && this.#closeDue === undefined;
    if (this.#state === 'open' && this.#mayWrite) this.#writeClose(code, '');
    else if (this.#state === 'open' && waits) this.#closeDue = { code, reason: '' };
    const listener = this.#listener;
    this.#listener = undefined;
    this.#end('closed');
    // Of what it was told nothing can be lost any more.
    if (isAnswer && !this.blocked) this.socket.close();
    else if (this.#closeDue === undefined) this.#hangUp();
    else this.#destroyInTime();
    listener?.onUpstreamClose(code, reason);
  }

  override onViolation(code: number, why: string): void {
    if (this.#state === 'open' && this.#mayWrite) this.#writeClose(code, '');
    this.#lost('ERR_UPSTREAM_PROTOCOL', `the upstream broke RFC 6455: ${why}`);
    this.#hangUp();
  }

  /** @internal */
  onFinished(): void {
    this.#read();
  }

  #writeClose(code: number, reason: string): void {
    this.shared.writer.write(this.socket, Opcode.CLOSE, closePayload(code, reason));
    this.shared.writer.flush();
  }

  /** Ends our side; what still comes is read and dropped, as unread bytes would turn our close frame into a reset. */
  #hangUp(): void {
    this.socket.end();
    this.#read();
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
    this.#frames?.stop();
    this.stopDecoding();
    this.tenancy.ended(end);
  }

  #destroySocket(): void {
    this.#closeDue = undefined;
    this.shared.writer.discard(this.socket);
    this.socket.destroy();
  }
}
