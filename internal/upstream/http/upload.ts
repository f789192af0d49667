import type { Readable } from 'node:stream';
import { fromUnknown } from '../../errors.js';
import type { UpstreamSocket } from '../socket/socket.js';

/** Hears the events of a request's body. */
export interface UploadListener {
  /** The trailer section, in whole lines; '': none. @throws Unsendable */
  trailers(): string;
  /** All of it is written. */
  uploaded(): void;
  /** It broke off. */
  uploadFailed(error: Error): void;
}

/** Largest body, or first piece of one, that is sent in one write with the head, in bytes. */
const MAX_JOINED_BYTES = 16_384;

/** Writes several buffers, joined if they are small enough to be worth copying. */
export function writeTogether(socket: UpstreamSocket, head: Buffer, body: Buffer): void {
  if (body.length <= MAX_JOINED_BYTES) return socket.write(Buffer.concat([head, body]));
  socket.write(head);
  socket.write(body);
}

/**
 * Sends a request with a body, no faster than the upstream takes it. The head waits for the first bytes of
 * the body, so that nothing is sent of one that is refused at once.
 */
export class Upload {
  #isOver: boolean = false;
  /** undefined: it has been sent. */
  #head: Buffer | undefined;

  /** @param isChunked whether it is sent in chunks (RFC 9112 §7.1) or with the length in the head. */
  constructor(
    readonly socket: UpstreamSocket,
    head: Buffer,
    readonly body: Readable,
    readonly isChunked: boolean,
    readonly listener: UploadListener,
  ) {
    this.#head = head;
  }

  /** Begins to read it. */
  start(): void {
    if (this.body.destroyed) this.#onClose();
    else this.body.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose);
  }

  /** All that waited has been taken. */
  drained(): void {
    if (!this.#isOver) this.body.resume();
  }

  /** Stops: the rest of the body is not wanted. */
  stop(): void {
    if (this.#isOver) return;
    this.#leave();
    this.body.destroy();
  }

  #write(bytes: Buffer): void {
    const head = this.#head;
    this.#head = undefined;
    if (head !== undefined) writeTogether(this.socket, head, bytes);
    else if (bytes.length > 0) this.socket.write(bytes);
  }

  #leave(): void {
    this.#isOver = true;
    this.body.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    const { socket } = this;
    // A chunk of no bytes would be the last.
    if (chunk.length === 0) return;
    if (this.isChunked) {
      const size = Buffer.from(`${chunk.length.toString(16)}\r\n`, 'latin1');
      this.#write(Buffer.concat([size, chunk, CRLF]));
    } else this.#write(chunk);
    if (socket.waitingWrites > 0) this.body.pause();
  };

  readonly #onEnd = (): void => {
    this.#leave();
    try {
      this.#write(Buffer.from(this.isChunked ? `0\r\n${this.listener.trailers()}\r\n` : '', 'latin1'));
    } catch (thrown) {
      return this.listener.uploadFailed(fromUnknown(thrown));
    }
    this.listener.uploaded();
  };

  /** A body that breaks off must not look complete. */
  readonly #onClose = (): void => {
    this.#leave();
    this.listener.uploadFailed(this.body.errored ?? new Error('the body broke off'));
  };
}

const CRLF = Buffer.from('\r\n');
