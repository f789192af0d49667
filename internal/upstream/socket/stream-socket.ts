import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ReusedBuffer } from './reused-buffer.js';
import { KEEP_ALIVE_DELAY_MS, type SocketOwner, type SocketTarget, type UpstreamSocket } from './socket.js';

const WRAPPER = Symbol('wrapper');

interface WrappedSocket extends Socket {
  [WRAPPER]: StreamSocket;
}

/** A socket of Node's: TLS, and TCP where there is no `TcpBinding`. Its events go through functions that all share. */
export class StreamSocket implements UpstreamSocket {
  readonly #socket: Socket;
  waitingWrites = 0;

  constructor(
    target: SocketTarget,
    readBuffer: ReusedBuffer,
    public owner: SocketOwner,
  ) {
    const onread: OnReadOpts = {
      buffer: readBuffer.bytes,
      callback: (length) => this.owner.socketRead(length),
    };
    // A high-water mark of one byte: `drain` then tells of every write that had to wait, however small.
    const socket = connectSocket(target, { onread, highWaterMark: 1 }) as WrappedSocket;
    socket[WRAPPER] = this;
    socket.on('drain', onDrain).on('end', onEnd).on('error', onError).on('close', onClose);
    this.#socket = socket.once(target.tls === undefined ? 'connect' : 'secureConnect', onReady);
  }

  get writable(): boolean {
    return this.#socket.writable;
  }

  get writableLength(): number {
    return this.#socket.writableLength;
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable && !this.#socket.write(bytes)) this.waitingWrites++;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** A socket that connects, over TLS with the target's checks. */
export function connectSocket(
  { host, port, tls }: SocketTarget,
  options: { readonly onread?: OnReadOpts; readonly highWaterMark?: number } = {},
): Socket {
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

function onReady(this: Socket): void {
  this.setNoDelay(true);
  this.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
  ownerOf(this).socketReady?.();
}

function onDrain(this: Socket): void {
  (this as WrappedSocket)[WRAPPER].waitingWrites = 0;
  ownerOf(this).socketDrained?.();
}

function onEnd(this: Socket): void {
  ownerOf(this).socketEnded();
}

function onError(this: Socket, error: Error): void {
  ownerOf(this).socketFailed(error);
}

function onClose(this: Socket): void {
  ownerOf(this).socketClosed();
}

function ownerOf(socket: Socket): SocketOwner {
  return (socket as WrappedSocket)[WRAPPER].owner;
}
