import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** Under TLS: the connection below. Not documented, and asked for what Node.js itself keeps there. */
interface AboveTcp {
  readonly _parent?: Socket | null;
}

/**
 * Breaks a connection off by TCP's reset, so that what it said does not look whole: under TLS, too, where
 * curl and Python take an end without close_notify (RFC 8446 §6.1) for a good one. Node.js 20 does not reset
 * a connection whose end is under way: libuv refuses, and Node.js keeps the descriptor for ever, never says
 * 'close', and spins when the program is over. That one is dropped.
 */
export function reset(socket: Socket): void {
  const isEnding = socket.writableEnded && !socket.writableFinished;
  const tcp = socket instanceof TLSSocket ? (socket as AboveTcp)._parent : socket;
  if (isEnding || !tcp) socket.destroy();
  else tcp.resetAndDestroy();
}

/** How often those that nobody reads are asked whether they have been reset, in milliseconds. */
export const RESET_CHECK_MS = 1_000;

interface NamedHandle {
  getpeername?(out: object): number;
}

/**
 * Whether the peer has reset a connection, of which Node.js tells nobody who neither reads nor writes: then
 * the system has no peer of it any more. Its end in good order lies behind what is not read.
 */
export function isReset(handle: NamedHandle | null | undefined): boolean {
  const status = handle?.getpeername?.({});
  return status !== undefined && status !== 0;
}

/** Likewise of a stream. */
export function isStreamReset(stream: Socket): boolean {
  return isReset((stream as { readonly _handle?: NamedHandle | null })._handle);
}
