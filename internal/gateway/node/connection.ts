import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ReusedBuffer } from '../../upstream/socket/reused-buffer.js';
import type { SocketOwner, UpstreamSocket } from '../../upstream/socket/socket.js';
import { StreamSocket } from '../../upstream/socket/stream-socket.js';
import type { TcpHandle } from '../../upstream/socket/tcp-binding.js';
import { type TcpShared, TcpSocket } from '../../upstream/socket/tcp-socket.js';
import { type Accepted, isHandle } from './acceptor.js';
import type { Entrance } from './entrance.js';
import { lingerWhenDone } from './linger.js';

/** An accepted connection; counted in the entrance until it is closed. */
export interface Connection {
  /** In canonical form. */
  readonly peer: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** Reads from its first `resume` on; what comes goes to its present owner. */
  readonly socket: UpstreamSocket;
  /**
   * Turns it into a stream: `socket` may not be used any more.
   * @param unread bytes that were read and not used; copied before this returns.
   */
  asStream(unread: Buffer): Socket;
}

/** On a TCP handle. */
export class HandleConnection implements Connection {
  readonly secure = false;
  readonly #socket: AcceptedTcpSocket;

  constructor(
    readonly shared: TcpShared,
    readonly entrance: Pick<Entrance, 'leave'>,
    handle: TcpHandle,
    readonly peer: string,
  ) {
    this.#socket = new AcceptedTcpSocket(shared, entrance, peer).adopt(handle);
  }

  get socket(): UpstreamSocket {
    return this.#socket;
  }

  asStream(unread: Buffer): Socket {
    const { peer, entrance, shared } = this;
    const stream = releasedStream(this.#socket.release(), shared.readBuffer);
    return asStream(
      stream.once('close', () => entrance.leave(peer)),
      unread,
    );
  }
}

class AcceptedTcpSocket extends TcpSocket {
  constructor(
    shared: TcpShared,
    readonly entrance: Pick<Entrance, 'leave'>,
    readonly peer: string,
  ) {
    super(shared, NOBODY);
  }

  override tcpClosed(): void {
    this.entrance.leave(this.peer);
    super.tcpClosed();
  }
}

/** An accepted connection as a stream; its errors are handled from now on. */
export function streamOf(accepted: Accepted): Socket {
  const stream = isHandle(accepted) ? makeStream({ handle: accepted }) : accepted;
  stream.allowHalfOpen = true;
  return mayFail(stream);
}

/**
 * Adds an error listener for the stream's whole life: an 'error' event without one would end the process, and
 * node:http removes its own for a CONNECT. What a failure means is told by 'close'.
 */
function mayFail(stream: Socket): Socket {
  return stream.on('error', () => {});
}

/** A handle that reads into our buffer goes on doing so: what it reads is copied into the stream. */
function releasedStream(handle: TcpHandle | undefined, { bytes }: ReusedBuffer): Socket {
  const callback = (length: number): boolean => stream.push(Buffer.from(bytes.subarray(0, length)));
  const stream: Socket = makeStream({ handle, onread: { buffer: bytes, callback } });
  return stream;
}

/** As `net.Server` makes its streams; Node's type definitions do not know the option `handle`. */
function makeStream(options: object): Socket {
  return new Socket({ ...options, allowHalfOpen: true } as ConstructorParameters<typeof Socket>[0]);
}

/** On one of Node's streams: TLS, or TCP where there are no handles. */
export class StreamConnection implements Connection {
  readonly secure: boolean;
  readonly #socket: StreamSocket;

  /** @param stream counted in the entrance already. */
  constructor(
    readBuffer: ReusedBuffer,
    readonly stream: Socket,
    readonly peer: string,
  ) {
    this.secure = stream instanceof TLSSocket;
    this.#socket = new StreamSocket(readBuffer, NOBODY).adopt(stream);
  }

  get socket(): UpstreamSocket {
    return this.#socket;
  }

  asStream(unread: Buffer): Socket {
    this.#socket.release();
    return asStream(this.stream, unread);
  }
}

function asStream(stream: Socket, unread: Buffer): Socket {
  stream.pause();
  stream.setNoDelay(true);
  if (unread.length > 0) stream.unshift(Buffer.from(unread));
  return lingerWhenDone(mayFail(stream));
}

/** The owner of a socket until a real one is set. */
const NOBODY: SocketOwner = {
  socketRead: () => false,
  socketEnded: () => {},
  socketFailed: () => {},
  socketClosed: () => {},
};
