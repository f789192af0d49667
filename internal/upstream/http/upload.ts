import type { Readable } from 'node:stream';
import { fromUnknown } from '../../errors.js';
import type { UpstreamSocket } from '../socket/socket.js';

/** Who hears what becomes of a request's body. */
export interface UploadListener {
  /** What stands behind the last chunk, whole lines; '': nothing. @throws Unsendable */
  trailers(): string;
  /** All of it is written. */
  uploaded(): void;
  /** It broke off. */
  uploadFailed(error: Error): void;
}

/** Largest body, or first piece of one, that goes out in one piece with the head, in bytes. */
const MAX_JOINED_BYTES = 16_384;

/** Writes what belongs together: in as few pieces as are worth their copying. */
export function writeTogether(socket: UpstreamSocket, head: Buffer, body: Buffer): void {
  if (body.length <= MAX_JOINED_BYTES) return socket.write(Buffer.concat([head, body]));
  socket.write(head);
  socket.write(body);
}

/**
 * A request with a body on its way to the upstream, no faster than that takes it. The head waits for the
 * first bytes: of a body that is refused at once nothing is sent.
 */
export class Upload {
  #isOver: boolean = false;
  /** undefined: it is out. */
  #head: Buffer | undefined;

  /** @param isChunked whether it is framed by itself (RFC 9112 §7.1), or by what the head says. */
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

  /** What had to wait has left. */
  drained(): void {
    if (!this.#isOver) this.body.resume();
  }

  /** Nobody wants the rest. */
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

  /** A body that breaks off must not look whole. */
  readonly #onClose = (): void => {
    this.#leave();
    this.listener.uploadFailed(this.body.errored ?? new Error('the body broke off'));
  };
}

const CRLF = Buffer.from('\r\n');
