/**
 * The least that a gateway on Node.js can do: accept, dial, pass on what comes, on the same handles and with
 * the same sockets as the gateway. It reads no request, asks for no token, bounds, counts and checks nothing,
 * and would do harm anywhere but here, where it shows how much of the gateway's cost is the runtime's.
 *
 * Arguments: its port and its upstream's, both on 127.0.0.1.
 */
import { createAcceptor, isHandle } from '../internal/gateway/node/acceptor.js';
import type { SocketOwner, UpstreamSocket } from '../internal/upstream/socket/socket.js';
import { Sockets } from '../internal/upstream/socket/sockets.js';
import type { TcpHandle } from '../internal/upstream/socket/tcp-binding.js';
import { TcpSocket } from '../internal/upstream/socket/tcp-socket.js';

const [port = 0, upstreamPort = 0] = process.argv.slice(2).map(Number);
const sockets = new Sockets();
const { tcp } = sockets;
if (tcp === null) throw new Error('this Node.js has no TCP handles');
await createAcceptor(tcp.binding, (accepted) => {
  if (isHandle(accepted)) new Side().pairWith(accepted);
}).listen('127.0.0.1', port);

/** One of the two connections of a pair: what it reads, the other one writes. */
class Side implements SocketOwner {
  socket: UpstreamSocket | undefined;
  other: Side | undefined;

  /** Makes the other side, too. */
  pairWith(accepted: TcpHandle): void {
    if (tcp === null) return;
    const upstream = new Side();
    this.other = upstream;
    upstream.other = this;
    upstream.socket = sockets.open({ host: '127.0.0.1', port: upstreamPort, tls: undefined }, upstream);
    this.socket = new TcpSocket(tcp, this);
    // Nobody reads before there is someone to write to.
    upstream.socketReady = () => {
      if (this.socket instanceof TcpSocket) this.socket.adopt(accepted).resume();
    };
  }

  socketReady?(): void;

  socketRead(length: number): boolean {
    const to = this.other?.socket;
    to?.write(sockets.readBuffer.view(0, length));
    return to?.writableLength === 0;
  }

  socketDrained(): void {
    this.other?.socket?.resume();
  }

  socketEnded(): void {
    this.other?.socket?.end();
    this.socket?.destroy();
  }

  socketFailed(): void {
    this.other?.socket?.destroy();
  }

  socketClosed(): void {
    this.other?.socket?.destroy();
  }
}
