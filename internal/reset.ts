import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/**
 * Breaks a connection off by TCP's reset, so that what it said does not look whole. Under TLS its end alone
 * says so: there is no close_notify before it (RFC 8446 §6.1), and Node.js throws rather than reset one. Nor
 * does Node.js 20 reset a connection whose end is under way: libuv refuses, and Node.js keeps the descriptor
 * for ever, never says 'close', and spins when the program is over. That one is dropped, too.
 */
export function reset(socket: Socket): void {
  const isEnding = socket.writableEnded && !socket.writableFinished;
  if (isEnding || socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}
