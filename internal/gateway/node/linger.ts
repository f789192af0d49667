import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Timed, type TimerWheel } from '../../session/timer-wheel.js';
import type { SocketOwner, UpstreamSocket } from '../../upstream/socket/socket.js';

/**
 * RFC 9112 §9.6: closing a connection with unread bytes resets it, and a client that is still sending may
 * lose the answer. So what it sends is read and dropped for this long.
 */
const LINGER_MS = 2_000;

/** Writes the last bytes to a connection, and closes it once the client has, or after `LINGER_MS`. */
export class Farewell extends Timed implements SocketOwner {
  #said: boolean = false;
  /** Whether the client has ended its side. */
  #ended: boolean = false;

  /** @param socket which it owns from now on. */
  constructor(
    readonly wheel: TimerWheel,
    readonly socket: UpstreamSocket,
  ) {
    super();
    socket.owner = this;
  }

  say(bytes: Buffer): void {
    this.#said = true;
    this.wheel.schedule(this, LINGER_MS);
    if (bytes.length > 0) this.socket.write(bytes);
    this.socket.end();
    // It may have been paused with bytes unread.
    this.socket.resume();
    if (this.#ended && this.socket.writableLength === 0) this.socket.destroy();
  }

  override onDeadline(): void {
    this.socket.destroy();
  }

  socketRead(): boolean {
    return true;
  }

  socketEnded(): void {
    this.#ended = true;
    if (this.#said && this.socket.writableLength === 0) this.socket.destroy();
  }

  socketDrained(): void {
    if (this.#said && this.#ended) this.socket.destroy();
  }

  socketFailed(): void {}

  socketClosed(): void {
    this.wheel.schedule(this, Number.POSITIVE_INFINITY);
  }
}

const LINGERS = Symbol('lingers');

interface LingeringStream extends Socket {
  [LINGERS]?: boolean;
}

/** Makes a stream linger when node:http closes it after an answer, by `destroySoon`. */
export function lingerWhenDone(stream: Socket): Socket {
  stream.destroySoon = lingeringEnd;
  return stream;
}

/** Whether a stream lingers after its last answer: what still comes on it is dropped. */
export function lingers(stream: LingeringStream): boolean {
  return stream[LINGERS] === true;
}

/**
 * Drops the rest of a request whose answer is out. If it comes in time its connection serves on: its client
 * has heard of no end, and may send the next request behind it.
 */
export function dropRest(request: IncomingMessage): void {
  // It may have come while the answer waited for its client: then neither of these events does any more.
  if (request.complete) return void request.resume();
  const timer = setTimeout(() => request.socket.destroySoon(), LINGER_MS).unref();
  const done = (): void => clearTimeout(timer);
  request.once('end', done).once('close', done).resume();
}

function lingeringEnd(this: LingeringStream): void {
  if (this[LINGERS] === true) return;
  this[LINGERS] = true;
  if (this.writable) this.end();
  if (this.readableEnded || !this.readable) {
    destroyWhenWritten(this);
    return;
  }
  const timer = setTimeout(() => this.destroy(), LINGER_MS).unref();
  this.once('end', () => destroyWhenWritten(this)).once('close', () => clearTimeout(timer));
  this.resume();
}

function destroyWhenWritten(stream: Socket): void {
  if (stream.writableFinished) stream.destroy();
  else stream.once('finish', () => stream.destroy());
}
