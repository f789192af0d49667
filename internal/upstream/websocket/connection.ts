import { type MaskingKeys, Opcode } from '../../websocket/frame.js';
import type { FragmentPosition } from '../../websocket/frame-decoder.js';
import type { FrameSource } from '../../websocket/frame-source.js';
import { type SocketOwner, type UpstreamSocket, WRITE_COST_BYTES } from '../socket/socket.js';
import { ConnectionEnding, type ConnectionTenancy } from './connection-ending.js';
import type { ConnectionShared } from './connection-shared.js';
import type { UpstreamListener } from './message-listener.js';
import type { BatchReader } from './read-batch.js';
import { type ControlFrames, type UpstreamFrameListener, UpstreamFrames } from './upstream-frames.js';

const NOTHING = Buffer.alloc(0);
const NOTHING_PASSED = Object.freeze({ messages: 0, payloadBytes: 0 });

/**
 * An open WebSocket connection to an upstream. It hands over nothing until `start`. Payloads given to `send`
 * are copied before it returns, payloads handed to the listener are valid during the call only.
 */
export class UpstreamConnection extends ConnectionEnding implements SocketOwner, BatchReader, ControlFrames {
  /** Set by every read; the idle check resets it. */
  heard = false;
  #paused: boolean = true;
  /** The listener, while messages are decoded for it. */
  #messages: UpstreamListener | undefined;
  /** Bytes that came before `start`. */
  #kept: Buffer | undefined;
  /** Its frames, once they pass as they come. */
  #frames: UpstreamFrames | undefined;

  /**
   * @param socket its opening handshake is done. It is reading, as it is mostly used in the same turn.
   * @param kept bytes that came behind the response head; owned by the connection.
   * @param subprotocol the one the upstream chose.
   */
  constructor(
    socket: UpstreamSocket,
    shared: ConnectionShared,
    tenancy: ConnectionTenancy,
    readonly subprotocol: string | undefined,
    kept: Buffer,
  ) {
    super(socket, shared, tenancy);
    if (kept.length > 0) this.#kept = kept;
    socket.owner = this;
  }

  /** Bytes accepted by `send` and not yet taken by the kernel. */
  get bufferedBytes(): number {
    return this.socket.writableLength + this.shared.writer.pendingBytes(this.socket);
  }

  /** Whether some of what was written waits for the kernel. */
  get blocked(): boolean {
    return this.socket.writableLength > 0;
  }

  /** The memory that they take: each waiting write costs some beside its bytes. */
  get waitingCost(): number {
    return this.bufferedBytes + this.socket.waitingWrites * WRITE_COST_BYTES;
  }

  /** Bytes that have left the process: it grows while the upstream takes bytes, within one write, too. */
  get takenBytes(): number {
    return this.socket.bytesWritten - this.socket.writableLength;
  }

  /**
   * Begins to read. The listener may be called before this returns, with messages that came with the response
   * head, or with the loss of the connection.
   */
  start(listener: UpstreamListener): void {
    this.listener = listener;
    this.#messages = listener;
    this.#begin();
  }

  /**
   * Instead of `start`: frames pass as they come, to `listener` and, by `write`, from `source`. Call
   * `startPassing` next.
   * @returns the source of the upstream's frames.
   */
  passTo(listener: UpstreamFrameListener, source: FrameSource): FrameSource {
    this.source = source;
    this.#frames = new UpstreamFrames(this, listener);
    return this.#frames;
  }

  /** As `start`. */
  startPassing(): void {
    this.listener = this.#frames?.listener;
    this.#begin();
  }

  #begin(): void {
    this.tellLost();
    if (this.state !== 'open') return;
    const kept = this.#kept;
    this.#kept = undefined;
    this.#paused = false;
    if (kept !== undefined) this.#receive(kept, kept.length);
    if (!this.#paused) this.socket.resume();
  }

  /** Stops reading; what has been read already is still delivered. */
  pause(): void {
    const isOver = this.state === 'ended' || (this.state === 'closing' && this.dropsRest);
    if (this.#paused || isOver) return;
    this.#paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#paused || this.listener === undefined) return;
    this.read();
  }

  protected override read(): void {
    this.#paused = false;
    this.socket.resume();
  }

  /** Sends a whole message; dropped once the connection is closing. */
  send(payload: Uint8Array, isBinary: boolean): void {
    if (this.state !== 'open') return;
    this.shared.writer.write(this.socket, isBinary ? Opcode.BINARY : Opcode.TEXT, payload);
  }

  /** Passes frames on as they are. @returns whether the kernel took all of them. */
  write(frames: Buffer): boolean {
    if (this.state !== 'open' && !this.isCloseDue) return true;
    return this.shared.writer.pass(this.socket, frames);
  }

  /** undefined: masking keys are kept. */
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

  /** After the frame that is under way, no more of the upstream's frames pass. */
  finish(): void {
    this.#frames?.finish();
    if (this.state !== 'open' && !this.midFrame) this.read();
  }

  /** Until `finish`, frames still have to wait for a slow client. */
  protected override get dropsRest(): boolean {
    return this.#frames === undefined;
  }

  protected override stop(): void {
    this.#kept = undefined;
    this.#frames?.stop();
    this.stopDecoding();
  }

  /** @internal */
  socketRead(length: number): boolean {
    this.heard = true;
    const { bytes } = this.shared.sockets.readBuffer;
    if (this.listener === undefined && this.state === 'open') {
      // There is no listener yet: more stays in the kernel, but for what TLS has decrypted already.
      this.#kept = Buffer.concat([this.#kept ?? NOTHING, bytes.subarray(0, length)]);
      return false;
    }
    this.#receive(bytes, length);
    return !this.#paused || (this.state !== 'open' && this.dropsRest);
  }

  /** @internal */
  socketDrained(): void {
    if (this.state !== 'open' && !this.isCloseDue) return;
    const listener = this.#frames?.listener ?? this.listener;
    this.settle();
    try {
      listener?.onUpstreamDrain();
    } catch (thrown) {
      this.listenerFailed(thrown);
    }
  }

  #receive(chunk: Buffer, end: number): void {
    try {
      const listener = this.#messages;
      if (this.#frames !== undefined) this.#frames.walk(chunk, end);
      else if (listener === undefined || this.state !== 'open' || this.isOneFrame(chunk, end))
        this.decode(chunk, end);
      else this.shared.batch.run(listener, this, chunk, end);
      this.settle();
    } catch (thrown) {
      this.listenerFailed(thrown);
    }
  }

  /** @internal */
  override slice(chunk: Buffer, start: number, end: number): Buffer {
    const { readBuffer } = this.shared.sockets;
    return chunk === readBuffer.bytes ? readBuffer.view(start, end) : chunk.subarray(start, end);
  }

  protected override onMessage(payload: Buffer, isBinary: boolean): void {
    if (this.state === 'open') this.#messages?.onUpstreamMessage(payload, isBinary);
  }

  protected override onFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void {
    if (this.state === 'open') this.#messages?.onUpstreamFragment(payload, isBinary, position);
  }

  /** @internal */
  onFinished(): void {
    this.read();
  }
}
