import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ReusedBuffer } from '../../upstream/socket/reused-buffer.js';
import type { SocketOwner, UpstreamSocket } from '../../upstream/socket/socket.js';
import { StreamSocket } from '../../upstream/socket/stream-socket.js';
import type { TcpHandle } from '../../upstream/socket/tcp-binding.js';
import { type TcpShared, TcpSocket } from '../../upstream/socket/tcp-socket.js';
import type { Entrance } from './entrance.js';
import { lingerWhenDone } from './linger.js';

/** Who hears what a connection says first. */
export interface FirstListener {
  /** `chunk` may be lent. */
  firstBytes(chunk: Buffer): void;
  /** The peer has said all it will, or is gone. */
  firstEnded(): void;
}

/** An accepted connection, as long as nobody knows what it wants; counted in the entrance until it is closed. */
export interface Connection {
  /** In canonical form. */
  readonly peer: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** Reads, until one of the following is called. */
  listen(listener: FirstListener): void;
  /** From now on it is a socket, whose owner hears what comes; it reads at once. */
  asSocket(owner: SocketOwner): UpstreamSocket;
  /** From now on it is a stream. @param unread what was read of it. */
  asStream(unread: Buffer): Socket;
  destroy(): void;
}

const LISTENER = Symbol('listener');

interface FirstHandle extends TcpHandle {
  [LISTENER]?: HandleConnection | undefined;
}

/** On a TCP handle. Reads with memory of Node's own first: a handle with ours could not become a stream any more. */
export class HandleConnection implements Connection {
  readonly secure = false;
  #listener: FirstListener | undefined;

  constructor(
    readonly shared: TcpShared,
    readonly entrance: Entrance,
    readonly handle: FirstHandle,
    readonly peer: string,
  ) {}

  listen(listener: FirstListener): void {
    this.#listener = listener;
    this.handle[LISTENER] = this;
    this.handle.onread = onFirstRead;
    if (this.handle.readStart() !== 0) setImmediate(() => this.#listener?.firstEnded());
  }

  /** @internal */
  read(memory: ArrayBuffer | undefined): void {
    const { streamBaseState, kReadBytesOrError, kArrayBufferOffset } = this.shared.binding;
    const length = streamBaseState[kReadBytesOrError] ?? 0;
    if (length > 0 && memory !== undefined)
      this.#listener?.firstBytes(Buffer.from(memory, streamBaseState[kArrayBufferOffset], length));
    else if (length < 0) this.#listener?.firstEnded();
  }

  asSocket(owner: SocketOwner): UpstreamSocket {
    this.#release();
    return new AcceptedTcpSocket(this.shared, owner, this.entrance, this.peer).adopt(this.handle);
  }

  asStream(unread: Buffer): Socket {
    this.#release();
    this.handle.readStop();
    const stream = streamOf(this.handle).once('close', () => this.entrance.leave(this.peer));
    return asStream(stream, unread);
  }

  destroy(): void {
    this.#release();
    this.entrance.leave(this.peer);
    this.handle.close(() => {});
  }

  #release(): void {
    this.#listener = undefined;
    this.handle[LISTENER] = undefined;
  }
}

function onFirstRead(this: FirstHandle, memory: ArrayBuffer | undefined): void {
  this[LISTENER]?.read(memory);
}

class AcceptedTcpSocket extends TcpSocket {
  constructor(
    shared: TcpShared,
    owner: SocketOwner,
    readonly entrance: Entrance,
    readonly peer: string,
  ) {
    super(shared, owner);
  }

  override tcpClosed(): void {
    this.entrance.leave(this.peer);
    super.tcpClosed();
  }
}

/** An accepted handle as a stream. */
export function streamOf(handle: TcpHandle): Socket {
  // As `net.Server` makes them; the types know nothing of handles.
  const options = { handle, allowHalfOpen: true };
  return new Socket(options as ConstructorParameters<typeof Socket>[0]);
}

/** On a stream of Node's: TLS, and TCP where there are no handles. */
export class StreamConnection implements Connection {
  readonly secure: boolean;
  #listener: FirstListener | undefined;
  readonly #onData = (chunk: Buffer): void => this.#listener?.firstBytes(chunk);
  readonly #onEnd = (): void => this.#listener?.firstEnded();

  /** @param stream counted already. */
  constructor(
    readonly readBuffer: ReusedBuffer,
    readonly stream: Socket,
    readonly peer: string,
  ) {
    this.secure = stream instanceof TLSSocket;
  }

  listen(listener: FirstListener): void {
    this.#listener = listener;
    this.stream
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('error', this.#onEnd)
      .on('close', this.#onEnd);
    // It may have been accepted paused.
    this.stream.resume();
  }

  asSocket(owner: SocketOwner): UpstreamSocket {
    this.#release();
    return new StreamSocket(this.readBuffer, owner).adopt(this.stream);
  }

  asStream(unread: Buffer): Socket {
    this.#release();
    return asStream(this.stream, unread);
  }

  destroy(): void {
    this.#release();
    this.stream.on('error', () => {}).destroy();
  }

  #release(): void {
    this.#listener = undefined;
    const { stream } = this;
    stream
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onEnd)
      .off('close', this.#onEnd);
  }
}

function asStream(stream: Socket, unread: Buffer): Socket {
  stream.pause();
  stream.setNoDelay(true);
  if (unread.length > 0) stream.unshift(unread);
  return lingerWhenDone(stream);
}
