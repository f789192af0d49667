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
  /** Reads from its first `resume`; its owner is whoever makes something of what comes. */
  readonly socket: UpstreamSocket;
  /**
   * From now on it is a stream, and no socket any more.
   * @param unread what was read of it; it may be lent.
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

/** An accepted connection as a stream, which may fail before anybody has taken it up. */
export function streamOf(accepted: Accepted): Socket {
  const stream = isHandle(accepted) ? makeStream({ handle: accepted }) : accepted;
  stream.allowHalfOpen = true;
  return mayFail(stream);
}

/**
 * Has it that a stream's failure is no more than its end. It goes through many hands, and node:http takes its
 * own away from one that asks for a tunnel: an error that nobody hears would end the process.
 */
function mayFail(stream: Socket): Socket {
  return stream.on('error', () => {});
}

/** A handle with a buffer of ours keeps it: what is read there is copied into the stream. */
function releasedStream(handle: TcpHandle | undefined, { bytes }: ReusedBuffer): Socket {
  const callback = (length: number): boolean => stream.push(Buffer.from(bytes.subarray(0, length)));
  const stream: Socket = makeStream({ handle, onread: { buffer: bytes, callback } });
  return stream;
}

/** As `net.Server` makes them; the types know nothing of handles. */
function makeStream(options: object): Socket {
  return new Socket({ ...options, allowHalfOpen: true } as ConstructorParameters<typeof Socket>[0]);
}

/** On a stream of Node's: TLS, and TCP where there are no handles. */
export class StreamConnection implements Connection {
  readonly secure: boolean;
  readonly #socket: StreamSocket;

  /** @param stream counted already. */
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

/** Until somebody takes it up. */
const NOBODY: SocketOwner = {
  socketRead: () => false,
  socketEnded: () => {},
  socketFailed: () => {},
  socketClosed: () => {},
};
