import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';

/** Idle TCP connections are probed after this long: a host that vanished is noticed with pings off too. */
const KEEP_ALIVE_DELAY_MS = 60_000;

/**
 * Largest read at once, and size of the one buffer all upstream sockets of a process read into. It holds a socket's bytes
 * only while its owner's `socketRead` runs: the event loop reads one socket after the other.
 */
const READ_BYTES = 65_536;

export class ReadBuffer {
  readonly bytes = Buffer.allocUnsafeSlow(READ_BYTES);
}

/** Who hears a socket: the opening handshake first, the open connection after it. */
export interface SocketOwner {
  /** TCP, and TLS with its checks, is established. */
  socketReady?(): void;
  /** `length` bytes are in the read buffer. @returns whether to go on reading. */
  socketRead(length: number): boolean;
  /** What had to wait has left the process. */
  socketDrained?(): void;
  /** The peer will send no more. */
  socketEnded(): void;
  socketFailed(error: Error): void;
  /** The descriptor is free; nothing comes after it. */
  socketClosed(): void;
}

const OWNER = Symbol('owner');

/** A socket whose events go to whoever owns it now, through functions that all sockets share. */
export interface OwnedSocket extends Socket {
  [OWNER]: SocketOwner;
}

export interface SocketTarget {
  readonly host: string;
  readonly port: number;
  /** undefined: plain TCP. */
  readonly tls:
    | {
        readonly context: SecureContext;
        /** Name for SNI and for the certificate check; undefined: the host. */
        readonly serverName: string | undefined;
        readonly verify: boolean;
      }
    | undefined;
}

/** Begins to connect; `owner` hears what becomes of it. */
export function openSocket(target: SocketTarget, readBuffer: ReadBuffer, owner: SocketOwner): OwnedSocket {
  const onread: OnReadOpts = {
    buffer: readBuffer.bytes,
    callback: (length) => socket[OWNER].socketRead(length),
  };
  // A high-water mark of one byte: `drain` then tells of every write that had to wait, however small.
  const socket = connectSocket(target, { onread, highWaterMark: 1 }) as OwnedSocket;
  socket[OWNER] = owner;
  socket.on('drain', onDrain).on('end', onEnd).on('error', onError).on('close', onClose);
  return socket.once(target.tls === undefined ? 'connect' : 'secureConnect', onReady);
}

export function passSocketTo(socket: OwnedSocket, owner: SocketOwner): void {
  socket[OWNER] = owner;
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
  return (socket as OwnedSocket)[OWNER];
}
