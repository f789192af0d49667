import { ReusedBuffer } from './reused-buffer.js';
import type { SocketOwner, SocketTarget, UpstreamSocket } from './socket.js';
import { StreamSocket } from './stream-socket.js';
import { socketKind, type TcpBinding, tcpBinding } from './tcp-binding.js';
import { type TcpShared, TcpSocket } from './tcp-socket.js';

/** Opens the sockets of a process. */
export class Sockets {
  /**
   * The one buffer they read into. It holds a socket's bytes only while its owner's `socketRead` runs: the
   * event loop reads one socket after the other.
   */
  readonly readBuffer = new ReusedBuffer();
  /** null: where there are no handles. */
  readonly tcp: TcpShared | null;
  readonly kind: ReturnType<typeof socketKind>;

  /** @param binding null: TCP too goes through `net.Socket`. */
  constructor(binding: TcpBinding | null = tcpBinding()) {
    this.kind = socketKind(binding);
    this.tcp = binding && { binding, readBuffer: this.readBuffer, spareWrite: new binding.WriteWrap() };
  }

  /** Begins to connect; `owner` hears the outcome. */
  open(target: SocketTarget, owner: SocketOwner): UpstreamSocket {
    if (this.tcp === null || target.tls !== undefined)
      return new StreamSocket(this.readBuffer, owner).connect(target);
    return new TcpSocket(this.tcp, owner).connect(target);
  }
}
