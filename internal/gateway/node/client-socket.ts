import type { CloseReasonKey } from '../../close-codes.js';
import { fromUnknown } from '../../errors.js';
import type {
  ClientFrameSink,
  ClientFrames,
  ClientListener,
  ClientSocket,
  PassingOptions,
} from '../../session/client-socket.js';
import type { ReusedBuffer } from '../../upstream/socket/reused-buffer.js';
import { type SocketOwner, type UpstreamSocket, WRITE_COST_BYTES } from '../../upstream/socket/socket.js';
import type { FrameWriter } from '../../upstream/websocket/frame-writer.js';
import { FIN, Opcode } from '../../websocket/frame.js';
import type { FragmentPosition } from '../../websocket/frame-decoder.js';
import type { FrameSource } from '../../websocket/frame-source.js';
import type { WholeFrames } from '../../websocket/whole-frames.js';
import { ClientEnding } from './client-ending.js';

/** What all client sockets of a process share. */
export interface ClientSocketShared {
  /** What the sockets read into. */
  readonly readBuffer: ReusedBuffer;
  readonly writer: FrameWriter;
}

const NOTHING = Buffer.alloc(0);

/**
 * A client's WebSocket on one of Node's sockets, after the 101. Until its session is open it decodes the
 * client's messages, one at a time and no larger than the session allows; then frames pass as they come, see
 * `passTo`.
 */
export class NodeClientSocket extends ClientEnding implements ClientSocket, ClientFrames, SocketOwner {
  heard = false;
  #sink: ClientFrameSink | undefined;
  /** An incomplete message, and how many of its bytes have come. */
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  #paused: boolean = true;
  /** Bytes that came before `start`. */
  #kept: Buffer = NOTHING;

  /** @param socket the 101 has been written to it. */
  constructor(
    socket: UpstreamSocket,
    readonly shared: ClientSocketShared,
  ) {
    super(socket);
    socket.owner = this;
  }

  /**
   * Begins to read, once the session has this socket.
   * @param early bytes that came behind the request's head.
   */
  start(session: ClientListener, early: Buffer): void {
    this.session = session;
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
    this.source = source;
    this.inspects = inspects;
    this.remasks = keys;
    this.pass();
  }

  write(frames: Buffer): boolean {
    return this.state !== 'open' || this.shared.writer.pass(this.socket, frames);
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
    return this.sendFrame(FIN | (isBinary ? Opcode.BINARY : Opcode.TEXT), payload);
  }

  sendFragment(payload: Uint8Array, isBinary: boolean, position: FragmentPosition): number {
    const opcode = position !== 'first' ? Opcode.CONTINUATION : isBinary ? Opcode.BINARY : Opcode.TEXT;
    return this.sendFrame(position === 'last' ? FIN | opcode : opcode, payload);
  }

  bufferedBytes(): number {
    return this.socket.writableLength;
  }

  waitingCost(): number {
    return this.socket.writableLength + this.socket.waitingWrites * WRITE_COST_BYTES;
  }

  /** @internal */
  socketRead(length: number): boolean {
    this.heard = true;
    const { bytes } = this.shared.readBuffer;
    if (this.session === undefined && this.state === 'open') {
      // TLS hands over all that it has decrypted at once.
      this.#kept = Buffer.concat([this.#kept, bytes.subarray(0, length)]);
      return false;
    }
    this.#receive(bytes, length);
    return !this.#paused;
  }

  #receive(bytes: Buffer, end: number): void {
    try {
      this.walk(bytes, end);
      this.settle();
    } catch (thrown) {
      this.session?.close('internalError', undefined, fromUnknown(thrown));
    }
  }

  /** @internal */
  socketDrained(): void {
    try {
      this.settle();
      this.#sink?.clientDrained();
      this.session?.onClientDrain();
    } catch (thrown) {
      this.session?.close('internalError', undefined, fromUnknown(thrown));
    }
  }

  protected override judgeWhole(run: WholeFrames): boolean {
    return this.#sink?.judgeClientMessages(run) === true;
  }

  protected override judge(first: number, length: number, messageBytes: number): CloseReasonKey | undefined {
    if (this.passes) return this.#sink?.judgeClientFrame(first, length, messageBytes);
    return this.session?.messageRefusal(messageBytes);
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

  protected override onPiece(
    bytes: Buffer,
    from: number,
    to: number,
    isBinary: boolean,
    last: boolean,
  ): void {
    if (this.#gathered === undefined && last) {
      this.session?.onClientMessage(bytes.subarray(from, to), isBinary);
      return;
    }
    this.#gather(bytes, from, to);
    if (!last || this.#gathered === undefined) return;
    const message = this.#gathered.subarray(0, this.#gatheredBytes);
    this.#gathered = undefined;
    this.#gatheredBytes = 0;
    this.session?.onClientMessage(message, isBinary);
  }

  /**
   * The buffer grows by doubling, so that a message that comes byte by byte costs linear time. `judge` has
   * bounded its size.
   */
  #gather(bytes: Buffer, from: number, to: number): void {
    const length = this.#gatheredBytes + to - from;
    if (this.#gathered === undefined || length > this.#gathered.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#gatheredBytes, 64));
      this.#gathered?.copy(larger, 0, 0, this.#gatheredBytes);
      this.#gathered = larger;
    }
    this.#gatheredBytes += bytes.copy(this.#gathered, this.#gatheredBytes, from, to);
  }

  protected override forget(): void {
    this.#gathered = undefined;
  }
}
