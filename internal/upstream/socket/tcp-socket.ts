import { isReset } from '../../runtime/tcp-reset.js';
import { admittedOnly } from './admitted-lookup.js';
import type { ReusedBuffer } from './reused-buffer.js';
import { KEEP_ALIVE_DELAY_MS, type SocketOwner, type SocketTarget, type UpstreamSocket } from './socket.js';
import type { TcpBinding, TcpHandle, WriteRequest } from './tcp-binding.js';
import { systemError, TcpConnect, type TcpConnectListener } from './tcp-connect.js';

/** What all TCP sockets of a process share. */
export interface TcpShared {
  readonly binding: TcpBinding;
  readonly readBuffer: ReusedBuffer;
  /** For the next write: only one that has to wait uses it up. */
  spareWrite: WriteRequest;
}

const SOCKET = Symbol('socket');

interface SocketHandle extends TcpHandle {
  [SOCKET]?: TcpSocket | undefined;
}

interface SocketWrite extends WriteRequest {
  [SOCKET]?: TcpSocket;
}

/** End of stream, as reads report it. */
const UV_EOF = -4095;

/**
 * TCP directly on Node's handle: a write that the kernel takes at once allocates nothing that stays, and
 * leaves no work for later.
 */
export class TcpSocket implements UpstreamSocket, TcpConnectListener {
  bytesWritten = 0;
  /** `ending`: nothing more is written. `failed`: the owner is about to be told. */
  #state: 'connecting' | 'open' | 'ending' | 'failed' | 'destroyed' = 'connecting';
  #connect: TcpConnect | undefined;
  #handle: SocketHandle | undefined;
  #reading: boolean = false;
  waitingWrites = 0;

  constructor(
    readonly shared: TcpShared,
    public owner: SocketOwner,
  ) {}

  /** Begins to connect; the owner hears the outcome. */
  connect({ host, port, admits }: SocketTarget): this {
    const resolve = admits && admittedOnly(admits);
    this.#connect = new TcpConnect(this.shared.binding, host, port, this, resolve);
    this.#connect.begin();
    return this;
  }

  /** Takes over an accepted connection; it reads from the first `resume`. */
  adopt(handle: SocketHandle): this {
    this.#take(handle);
    return this;
  }

  /** Gives the handle of an open connection away; it is not read until its new owner does. */
  release(): TcpHandle | undefined {
    const handle = this.#handle;
    this.pause();
    this.#state = 'destroyed';
    this.#handle = undefined;
    this.waitingWrites = 0;
    if (handle !== undefined) handle[SOCKET] = undefined;
    return handle;
  }

  get writable(): boolean {
    return this.#state === 'open';
  }

  get writableLength(): number {
    return this.waitingWrites === 0 ? 0 : (this.#handle?.writeQueueSize ?? 0);
  }

  get isReset(): boolean {
    return isReset(this.#handle);
  }

  write(bytes: Uint8Array): void {
    const handle = this.#handle;
    if (handle === undefined || this.#state !== 'open') return;
    this.bytesWritten += bytes.length;
    const { binding, spareWrite } = this.shared;
    const status = handle.writeBuffer(spareWrite, bytes);
    if (status !== 0) {
      // What became of the request is not for us to know.
      this.shared.spareWrite = new binding.WriteWrap();
      this.#failLater(systemError('write', status));
    } else if (binding.streamBaseState[binding.kLastWriteWasAsync] !== 0) this.#waitFor(spareWrite, bytes);
  }

  #waitFor(write: SocketWrite, bytes: Uint8Array): void {
    this.waitingWrites++;
    write[SOCKET] = this;
    write.buffer = bytes;
    write.oncomplete = onWritten;
    this.shared.spareWrite = new this.shared.binding.WriteWrap();
  }

  pause(): void {
    if (!this.#reading) return;
    this.#reading = false;
    this.#handle?.readStop();
  }

  resume(): void {
    if (this.#reading || this.#handle === undefined || this.#state === 'failed') return;
    this.#reading = true;
    const status = this.#handle.readStart();
    if (status !== 0) this.#failLater(systemError('read', status));
  }

  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#handle?.shutdown(new this.shared.binding.ShutdownWrap());
  }

  close(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.#state === 'destroyed') return;
    this.#state = 'destroyed';
    this.#connect?.cancel();
    this.#connect = undefined;
    this.#reading = false;
    this.waitingWrites = 0;
    const handle = this.#handle;
    this.#handle = undefined;
    if (handle === undefined) setImmediate(() => this.tcpClosed());
    else handle.close(onClosed);
  }

  /** @internal */
  tcpConnected(handle: SocketHandle): void {
    this.#connect = undefined;
    handle.setNoDelay(true);
    handle.setKeepAlive(true, KEEP_ALIVE_DELAY_MS / 1000);
    this.#take(handle);
    this.#reading = true;
    this.owner.socketReady?.();
  }

  #take(handle: SocketHandle): void {
    this.#handle = handle;
    this.#state = 'open';
    handle[SOCKET] = this;
    handle.useUserBuffer(this.shared.readBuffer.bytes);
    handle.onread = onRead;
  }

  /** @internal */
  tcpFailed(error: Error): void {
    this.#connect = undefined;
    this.owner.socketFailed(error);
    this.destroy();
  }

  /** @internal */
  tcpRead(): void {
    const { binding } = this.shared;
    const length = binding.streamBaseState[binding.kReadBytesOrError] ?? 0;
    if (length > 0) {
      if (!this.owner.socketRead(length)) this.pause();
    } else if (length === UV_EOF) {
      this.pause();
      // Behind a failed write that is no end in good order: the write took the reset's error with it.
      if (this.#state !== 'failed') this.owner.socketEnded();
    } else if (length < 0) {
      this.owner.socketFailed(systemError('read', length));
      this.destroy();
    }
  }

  /** @internal */
  tcpWritten(status: number): void {
    if (this.#state === 'destroyed') return;
    this.waitingWrites--;
    if (status !== 0) this.#failLater(systemError('write', status));
    else if (this.waitingWrites === 0) this.owner.socketDrained?.();
  }

  /** @internal */
  tcpClosed(): void {
    this.owner.socketClosed();
  }

  /**
   * Not at once: whoever writes is not the one to hear of it. Nor before a turn in which what the peer said
   * last is read: one that refuses a body answers, and resets what is still sent (RFC 9112 §9.6).
   */
  #failLater(error: Error): void {
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    const tell = (): void => {
      if (this.#state !== 'failed') return;
      this.owner.socketFailed(error);
      this.destroy();
    };
    setImmediate(() => setImmediate(tell));
  }
}

function onRead(this: SocketHandle): void {
  this[SOCKET]?.tcpRead();
}

function onClosed(this: SocketHandle): void {
  this[SOCKET]?.tcpClosed();
}

function onWritten(this: SocketWrite, status: number): void {
  this[SOCKET]?.tcpWritten(status);
}
