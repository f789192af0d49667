import type { CloseCode, CloseReasonKey } from '../../close-codes.js';
import { fromUnknown } from '../../errors.js';
import {
  type ClientFrameSink,
  type ClientFrames,
  type ClientListener,
  type ClientSocket,
  type LastWords,
  type PassingOptions,
  SendResult,
} from '../../session/client-socket.js';
import type { ReusedBuffer } from '../../upstream/socket/reused-buffer.js';
import type { SocketOwner, UpstreamSocket } from '../../upstream/socket/socket.js';
import { closePayload, FIN, Opcode, serverFrame } from '../../upstream/websocket/frame.js';
import type { FrameSource } from '../../upstream/websocket/frame-source.js';
import { FrameWalker } from '../../upstream/websocket/frame-walker.js';
import type { FrameWriter } from '../../upstream/websocket/frame-writer.js';
import type { FragmentPosition } from '../../upstream/websocket/message-listener.js';
import type { WholeFrames } from '../../upstream/websocket/whole-frames.js';

/** What all client sockets of a process share. */
export interface ClientSocketShared {
  /** What the sockets read into. */
  readonly readBuffer: ReusedBuffer;
  readonly writer: FrameWriter;
}

const NOTHING = Buffer.alloc(0);

/** Pings of one read that are answered one by one; of a flood, the latest (RFC 6455 §5.5.3). */
const MAX_PONGS_PER_READ = 16;

/**
 * A client's WebSocket on a socket of Node's, behind the 101. Until its session is open it takes the client's messages
 * apart, one at a time and no more of it than the session has room for; then frames pass as they come, see `passTo`.
 * Everything of RFC 6455 that a client can break is checked; it is told 1002, 1007 or 1009 before TCP is closed.
 */
export class NodeClientSocket extends FrameWalker implements ClientSocket, ClientFrames, SocketOwner {
  heard = false;
  #session: ClientListener | undefined;
  #sink: ClientFrameSink | undefined;
  /** Whose frames pass to the client. */
  #source: FrameSource | undefined;
  /** A message in parts, and how much of it is there. */
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  #paused: boolean = true;
  /**
   * `told`: our close frame is out and the client's is awaited. `over`: nothing more is said; what still comes is read and
   * dropped, as unread bytes would turn our close frame into a reset.
   */
  #state: 'open' | 'told' | 'over' = 'open';
  /** Whether the client's close frame has come, or something that no close frame follows. */
  #heardClose: boolean = false;
  /** What goes out at the end of the frame that passes. */
  #closeDue: CloseCode | undefined;
  #pingDue: boolean = false;
  /** Payload of the latest ping that has not been answered. */
  #pongDue: Buffer | undefined;
  /** Pings answered in the present read. */
  #pongs = 0;

  /** What came before `start`. */
  #kept: Buffer = NOTHING;

  /** @param socket the 101 has been written to it. */
  constructor(
    readonly socket: UpstreamSocket,
    readonly shared: ClientSocketShared,
  ) {
    super(true, 'messages');
    socket.owner = this;
  }

  /**
   * Begins to read, once the session has its socket.
   * @param early bytes that came behind the request's head.
   */
  start(session: ClientListener, early: Buffer): void {
    this.#session = session;
    this.#paused = false;
    const first = this.#kept.length === 0 ? early : Buffer.concat([early, this.#kept]);
    this.#kept = NOTHING;
    if (first.length > 0) this.#receive(first, first.length);
    if (!this.#paused) this.socket.resume();
  }

  get frames(): ClientFrames {
    return this;
  }

  get takenBytes(): number {
    return this.socket.bytesWritten - this.socket.writableLength;
  }

  passTo(sink: ClientFrameSink, source: FrameSource, { inspects, keys }: PassingOptions): void {
    this.#sink = sink;
    this.#source = source;
    this.inspects = inspects;
    this.remasks = keys;
    this.pass();
  }

  write(frames: Buffer): boolean {
    return this.#state !== 'open' || this.shared.writer.pass(this.socket, frames);
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.socket.resume();
  }

  send(payload: Uint8Array, isBinary: boolean): number {
    return this.#send(FIN | (isBinary ? Opcode.BINARY : Opcode.TEXT), payload);
  }

  sendFragment(payload: Uint8Array, isBinary: boolean, position: FragmentPosition): number {
    const opcode = position !== 'first' ? Opcode.CONTINUATION : isBinary ? Opcode.BINARY : Opcode.TEXT;
    return this.#send(position === 'last' ? FIN | opcode : opcode, payload);
  }

  #send(first: number, payload: Uint8Array): number {
    if (this.#state !== 'open') return SendResult.SENT;
    this.socket.write(serverFrame(first, payload));
    return this.socket.writableLength === 0 ? SendResult.SENT : SendResult.BUFFERED;
  }

  bufferedBytes(): number {
    return this.socket.writableLength;
  }

  cork(work: () => void): void {
    work();
  }

  ping(): void {
    if (this.#mayWrite) this.#send(FIN | Opcode.PING, NOTHING);
    else this.#pingDue = true;
  }

  end(code: number, reason: string, before?: LastWords): void {
    if (this.#state !== 'open' || this.#closeDue !== undefined) return;
    this.finish();
    // What passes to a slow upstream still waits for it.
    if (!this.midFrame) this.resume();
    if (this.#mayWrite) this.#tell({ code, reason }, before);
    else if (this.#source?.stopped === true) this.#hangUp();
    else this.#closeDue = { code, reason };
  }

  terminate(): void {
    this.#state = 'over';
    this.stop();
    this.socket.destroy();
  }

  /** Whether a frame of the gateway's own may go out now. */
  get #mayWrite(): boolean {
    return this.#source?.midFrame !== true;
  }

  get hasDue(): boolean {
    return this.#closeDue !== undefined || this.#pongDue !== undefined || this.#pingDue;
  }

  atBoundary(): void {
    if (this.#pongDue !== undefined) this.#pong(this.#pongDue);
    if (this.#pingDue) {
      this.#pingDue = false;
      this.ping();
    }
    const due = this.#closeDue;
    if (due === undefined || !this.#mayWrite) return;
    this.#closeDue = undefined;
    this.#tell(due);
  }

  #tell({ code, reason }: CloseCode, before?: LastWords): void {
    const close = serverFrame(FIN | Opcode.CLOSE, closePayload(code, reason));
    this.socket.write(before === undefined ? close : Buffer.concat([lastFrame(before), close]));
    this.#state = 'told';
    if (this.#heardClose) this.#hangUp();
  }

  #hangUp(): void {
    this.#state = 'over';
    this.stop();
    this.#gathered = undefined;
    this.resume();
    this.socket.end();
  }

  /** @internal */
  socketRead(length: number): boolean {
    this.heard = true;
    const { bytes } = this.shared.readBuffer;
    if (this.#session === undefined && this.#state === 'open') {
      // TLS hands over all that it has decrypted at once.
      this.#kept = Buffer.concat([this.#kept, bytes.subarray(0, length)]);
      return false;
    }
    this.#receive(bytes, length);
    return !this.#paused;
  }

  #receive(bytes: Buffer, end: number): void {
    this.#pongs = 0;
    try {
      this.walk(bytes, end);
      if (this.#pongDue !== undefined) this.#pong(this.#pongDue);
    } catch (thrown) {
      this.#session?.close('internalError', undefined, fromUnknown(thrown));
    }
  }

  /** @internal */
  socketDrained(): void {
    try {
      if (this.#pongDue !== undefined) this.#pong(this.#pongDue);
      this.#sink?.clientDrained();
      this.#session?.onClientDrain();
    } catch (thrown) {
      this.#session?.close('internalError', undefined, fromUnknown(thrown));
    }
  }

  /** @internal */
  socketEnded(): void {
    this.stop();
    this.socket.destroy();
  }

  /** @internal */
  socketFailed(): void {
    this.stop();
  }

  /** @internal */
  socketClosed(): void {
    this.stop();
    this.#state = 'over';
    this.#gathered = undefined;
    this.#closeDue = undefined;
    const session = this.#session;
    this.#session = undefined;
    // RFC 6455 §7.1.5. After a close frame of the client the session is closing already.
    session?.onClientClosed(1006, '');
  }

  protected override judgeWhole(run: WholeFrames): boolean {
    return this.#sink?.judgeClientMessages(run) === true;
  }

  protected override judge(first: number, length: number, messageBytes: number): CloseReasonKey | undefined {
    if (this.passes) return this.#sink?.judgeClientFrame(first, length, messageBytes);
    return this.#session?.messageRefusal(messageBytes);
  }

  protected override inspect(
    bytes: Buffer,
    from: number,
    to: number,
    key: number,
    phase: number,
  ): CloseReasonKey | undefined {
    return this.#sink?.inspectClientPayload(bytes, from, to, key, phase);
  }

  protected override onFrames(bytes: Buffer, from: number, to: number): void {
    const { readBuffer } = this.shared;
    this.#sink?.clientFrames(
      bytes === readBuffer.bytes ? readBuffer.view(from, to) : bytes.subarray(from, to),
    );
  }

  protected override onFinished(): void {
    this.resume();
    this.#sink?.clientFramesFinished();
  }

  protected override onRefused(reason: CloseReasonKey): void {
    this.#heardClose = true;
    this.#session?.close(reason);
  }

  protected override onPiece(
    bytes: Buffer,
    from: number,
    to: number,
    isBinary: boolean,
    last: boolean,
  ): void {
    if (this.#gathered === undefined && last) {
      this.#session?.onClientMessage(bytes.subarray(from, to), isBinary);
      return;
    }
    this.#gather(bytes, from, to);
    if (!last || this.#gathered === undefined) return;
    const message = this.#gathered.subarray(0, this.#gatheredBytes);
    this.#gathered = undefined;
    this.#gatheredBytes = 0;
    this.#session?.onClientMessage(message, isBinary);
  }

  /** Grows by doubling: a message that comes byte by byte costs linear time. `judge` bounds it. */
  #gather(bytes: Buffer, from: number, to: number): void {
    const length = this.#gatheredBytes + to - from;
    if (this.#gathered === undefined || length > this.#gathered.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#gatheredBytes, 64));
      this.#gathered?.copy(larger, 0, 0, this.#gatheredBytes);
      this.#gathered = larger;
    }
    this.#gatheredBytes += bytes.copy(this.#gathered, this.#gatheredBytes, from, to);
  }

  protected override onPing(payload: Buffer): void {
    if (this.#pongs++ < MAX_PONGS_PER_READ) this.#pong(payload);
    else this.#pongDue = Buffer.from(payload);
    this.#session?.onClientAlive();
  }

  /** Nothing is answered behind bytes that the client does not take, so that pings cannot make the gateway buffer. */
  #pong(payload: Buffer): void {
    this.#pongDue = undefined;
    if (this.#state !== 'open') return;
    if (this.#mayWrite && this.socket.writableLength === 0) this.#send(FIN | Opcode.PONG, payload);
    else this.#pongDue = Buffer.from(payload);
  }

  protected override onPong(): void {
    this.#session?.onClientAlive();
  }

  protected override onClose(code: number, reason: string): void {
    this.#heardClose = true;
    if (this.#state === 'told') this.#hangUp();
    // RFC 6455 §5.5.1: the session answers with the same code, by `end`, and passes it on.
    else this.#session?.close('clientClosed', { code, reason });
  }

  protected override onViolation(code: 1002 | 1007, why: string): void {
    this.#heardClose = true;
    if (this.#state === 'told') this.#hangUp();
    else
      this.#session?.close(
        code === 1007 ? 'clientInvalidText' : 'clientProtocolError',
        undefined,
        new Error(why),
      );
  }
}

function lastFrame({ payload, isBinary }: LastWords): Buffer {
  return serverFrame(FIN | (isBinary ? Opcode.BINARY : Opcode.TEXT), payload);
}
