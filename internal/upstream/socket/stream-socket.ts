import { connect as connectTcp, isIP, type OnReadOpts, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { isStreamReset } from '../../runtime/tcp-reset.js';
import { admittedOnly, lookupBy } from './admitted-lookup.js';
import type { ReusedBuffer } from './reused-buffer.js';
import { KEEP_ALIVE_DELAY_MS, type SocketOwner, type SocketTarget, type UpstreamSocket } from './socket.js';

const WRAPPER = Symbol('wrapper');

interface WrappedSocket extends Socket {
  [WRAPPER]: StreamSocket;
}

/**
 * One of Node's stream sockets: TLS, or TCP without a `TcpBinding`. All instances share their event handlers.
 */
export class StreamSocket implements UpstreamSocket {
  #socket: Socket | undefined;
  waitingWrites = 0;
  /** Of an accepted stream, whose `drain` tells of large writes only: hears of each that has left. */
  #onTaken: (() => void) | undefined;

  constructor(
    readonly readBuffer: ReusedBuffer,
    public owner: SocketOwner,
  ) {}

  /** Begins to connect; the owner hears the outcome. */
  connect(target: SocketTarget): this {
    const onread: OnReadOpts = {
      buffer: this.readBuffer.bytes,
      callback: (length) => this.owner.socketRead(length),
    };
    // A high-water mark of one byte: `drain` then tells of every write that had to wait, however small.
    const socket = connectSocket(target, { onread, highWaterMark: 1 });
    socket.destroy = destroyOnceRead;
    this.#take(socket);
    socket.once(target.tls === undefined ? 'connect' : 'secureConnect', onReady);
    return this;
  }

  /** Takes over an accepted connection, with nothing unread in it; it reads from the first `resume`. */
  adopt(socket: Socket): this {
    // It may be flowing, or would begin to with a 'data' listener.
    socket.pause();
    this.#take(socket);
    this.#onTaken = () => {
      if (--this.waitingWrites === 0) this.owner.socketDrained?.();
    };
    socket.on('data', onData);
    return this;
  }

  /** Gives an accepted connection away, paused. */
  release(): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    return socket
      ?.pause()
      .off('data', onData)
      .off('drain', onDrain)
      .off('end', onEnd)
      .off('error', onError)
      .off('close', onClose);
  }

  #take(socket: Socket): void {
    (socket as WrappedSocket)[WRAPPER] = this;
    socket.on('drain', onDrain).on('end', onEnd).on('error', onError).on('close', onClose);
    this.#socket = socket;
  }

  /** @internal Hands over bytes that were read by the stream, through the shared read buffer. */
  streamRead(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += this.readBuffer.length) {
      const length = bytes.copy(this.readBuffer.bytes, 0, at);
      if (this.owner.socketRead(length)) continue;
      this.pause();
      if (at + length < bytes.length) this.#socket?.unshift(bytes.subarray(at + length));
      return;
    }
  }

  /** @internal */
  streamDrained(): void {
    if (this.#onTaken !== undefined) return;
    this.waitingWrites = 0;
    this.owner.socketDrained?.();
  }

  /** @internal */
  streamClosed(): void {
    this.owner.socketClosed();
  }

  get writable(): boolean {
    return this.#socket?.writable ?? false;
  }

  get writableLength(): number {
    return this.#socket?.writableLength ?? 0;
  }

  get bytesWritten(): number {
    return this.#socket?.bytesWritten ?? 0;
  }

  get isReset(): boolean {
    return this.#socket !== undefined && isStreamReset(this.#socket);
  }

  write(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (socket?.writable !== true) return;
    if (this.#onTaken === undefined) {
      if (!socket.write(bytes)) this.waitingWrites++;
      return;
    }
    this.waitingWrites++;
    socket.write(bytes, this.#onTaken);
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  end(): void {
    this.#socket?.end();
  }

  close(): void {
    // TLS sends its close_notify first.
    this.#socket?.destroySoon();
  }

  destroy(): void {
    this.#socket?.destroy();
  }
}

/** A socket that connects, over TLS with the target's checks. */
export function connectSocket(
  { host, port, tls, admits }: SocketTarget,
  socketOptions: { readonly onread?: OnReadOpts; readonly highWaterMark?: number } = {},
): Socket {
  const lookup = admits && lookupBy(admittedOnly(admits));
  const options = lookup === undefined ? socketOptions : { ...socketOptions, lookup };
  if (tls === undefined) return connectTcp({ ...options, host, port });
  const servername = tls.serverName ?? (isIP(host) === 0 ? host : undefined);
  return connectTls({
    ...options,
    host,
    port,
    secureContext: tls.context,
    rejectUnauthorized: tls.verify,
    ...(servername === undefined ? {} : { servername }),
  });
}

/**
 * In place of a socket's own: for a write that failed, first a turn in which what the peer said last is read
 * (as `TcpSocket` has it); Node would drop that. The stream counts as failed already: an end that is read
 * meanwhile passes for none in good order.
 */
function destroyOnceRead(this: Socket, error?: NodeJS.ErrnoException): Socket {
  const { destroy } = Socket.prototype;
  this.destroy = destroy;
  if (error?.syscall !== 'write') return destroy.call(this, error);
  setImmediate(() => setImmediate(() => this.destroy(error)));
  return this;
}

function onReady(this: Socket): void {
  this.setNoDelay(true);
  this.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
  ownerOf(this).socketReady?.();
}

function onData(this: Socket, bytes: Buffer): void {
  (this as WrappedSocket)[WRAPPER].streamRead(bytes);
}

function onDrain(this: Socket): void {
  (this as WrappedSocket)[WRAPPER].streamDrained();
}

function onEnd(this: Socket): void {
  ownerOf(this).socketEnded();
}

function onError(this: Socket, error: Error): void {
  ownerOf(this).socketFailed(error);
}

function onClose(this: Socket): void {
  (this as WrappedSocket)[WRAPPER].streamClosed();
}

function ownerOf(socket: Socket): SocketOwner {
  return (socket as WrappedSocket)[WRAPPER].owner;
}
