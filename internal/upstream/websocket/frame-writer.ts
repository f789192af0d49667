import { clientFrameBytes, type MaskingKeys, writeClientFrame } from '../../websocket/frame.js';
import { ReusedBuffer } from '../socket/reused-buffer.js';
import type { UpstreamSocket } from '../socket/socket.js';

/** With less room than this behind bytes that still wait to be written, a new arena is taken. */
const MIN_ROOM_BYTES = 4096;

/**
 * Writes the frames of all connections of one side; one per process and side. A payload is copied once,
 * behind its header, into the arena. Consecutive frames of one connection are sent in one write, when another
 * connection's frame comes or at the end of the event loop's turn. What the kernel takes at once leaves the
 * arena free to be used again.
 */
export class FrameWriter {
  /** The memory in which frames wait to be written; a write that is stuck pins no more than that. */
  #arena = new ReusedBuffer();
  /** Where the waiting frames begin; what lies before is still being written. */
  #start = 0;
  #end = 0;
  /** Whose frames wait. */
  #socket: UpstreamSocket | undefined;
  #scheduled: boolean = false;
  readonly #onTurnEnd = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  /** @param keys undefined: zero masking keys. */
  constructor(readonly keys: MaskingKeys | undefined) {}

  /** Bytes that wait here for `socket`. */
  pendingBytes(socket: UpstreamSocket): number {
    return this.#socket === socket ? this.#end - this.#start : 0;
  }

  /** Takes a frame; `payload` may be reused when it returns. */
  write(socket: UpstreamSocket, opcode: number, payload: Uint8Array): void {
    const bytes = clientFrameBytes(payload.length);
    if (this.#socket !== socket || this.#end + bytes > this.#arena.length) {
      this.flush();
      if (bytes > this.#arena.length) {
        this.#writeAlone(socket, opcode, payload, bytes);
        return;
      }
      this.#begin(socket, bytes);
    }
    this.#end = writeClientFrame(this.#arena.bytes, this.#end, opcode, payload, this.keys);
  }

  #begin(socket: UpstreamSocket, bytes: number): void {
    if (this.#end + bytes > this.#arena.length) this.#renew();
    this.#socket = socket;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#onTurnEnd);
  }

  /** Writes what waits to its socket. */
  flush(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    if (socket.writable) this.#send(socket, this.#arena.view(this.#start, this.#end));
    else this.#end = this.#start;
  }

  /** Drops what waits for a socket that is about to be destroyed. */
  discard(socket: UpstreamSocket): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#end = this.#start;
  }

  #send(socket: UpstreamSocket, frames: Buffer): void {
    if (socket.writableLength > 0) {
      // It will wait behind an earlier write: copied to memory of its own size, so that it does not pin a
      // whole arena.
      const copy = Buffer.allocUnsafeSlow(frames.length);
      frames.copy(copy);
      socket.write(copy);
      this.#end = this.#start;
      return;
    }
    socket.write(frames);
    if (socket.writableLength === 0) {
      this.#end = this.#start;
      return;
    }
    this.#start = this.#end;
    if (this.#arena.length - this.#end < MIN_ROOM_BYTES) this.#renew();
  }

  /** The old arena lives until the writes in it are done. */
  #renew(): void {
    this.#arena = new ReusedBuffer();
    this.#start = 0;
    this.#end = 0;
  }

  /**
   * Writes frames as they are, at once; they may be reused when it returns.
   * @returns whether the kernel took all that was written to this socket.
   */
  pass(socket: UpstreamSocket, frames: Buffer): boolean {
    this.flush();
    for (let at = 0; at < frames.length && socket.writable; at += this.#arena.length) {
      const piece =
        frames.length <= this.#arena.length ? frames : frames.subarray(at, at + this.#arena.length);
      if (this.#end + piece.length > this.#arena.length) this.#renew();
      this.#arena.bytes.set(piece, this.#end);
      this.#end += piece.length;
      this.#send(socket, this.#arena.view(this.#start, this.#end));
    }
    return socket.writableLength === 0;
  }

  #writeAlone(socket: UpstreamSocket, opcode: number, payload: Uint8Array, bytes: number): void {
    if (!socket.writable) return;
    const frame = Buffer.allocUnsafeSlow(bytes);
    writeClientFrame(frame, 0, opcode, payload, this.keys);
    socket.write(frame);
  }
}
