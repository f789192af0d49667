import type { IncomingMessage } from 'node:http';
import { type ClientOptions, WebSocket } from 'ws';
import { within } from '../eventually.js';
import { track } from './leftovers.js';

export interface Message {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

export interface Closing {
  readonly code: number;
  readonly reason: string;
}

export interface PeerOptions extends ClientOptions {
  readonly protocols?: readonly string[];
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
}

/** The opening handshake was answered with something else than 101. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly response: IncomingMessage,
  ) {
    super(`refused with HTTP ${status}`);
  }
}

/** Whether a handshake failed because the connection was closed without an answer. */
export function isClosedUnanswered(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return !(error instanceof Refused) && (code === 'ECONNRESET' || code === 'EPIPE');
}

/** One end of a WebSocket whose messages wait in a queue until a test asks for them. */
export class Peer {
  readonly closed: Promise<Closing>;
  /** Messages that came and were not taken yet. */
  readonly inbox: Message[] = [];
  readonly #waiting: (() => void)[] = [];
  #closing: Closing | undefined;
  /** X-Session-Id of the 101; '' for servers. */
  sessionId = '';

  constructor(readonly socket: WebSocket) {
    socket.on('error', () => {});
    socket.once('upgrade', ({ headers }) => {
      this.sessionId = String(headers['x-session-id'] ?? '');
    });
    socket.on('message', (data, isBinary) => {
      this.inbox.push({ data: asBuffer(data), isBinary });
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.#closing = { code, reason: reason.toString() };
        this.#wake();
        resolve(this.#closing);
      });
    });
  }

  /** Connects and waits for the 101. @throws Refused */
  static async open(url: string, options: PeerOptions = {}): Promise<Peer> {
    const { protocols = [], token, headers, ...rest } = options;
    const socket = new WebSocket(url, [...protocols], {
      perMessageDeflate: false,
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
      ...rest,
    });
    const peer = new Peer(socket);
    socket.once(
      'close',
      track(() => socket.terminate()),
    );
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once('open', resolve);
        socket.once('error', reject);
        socket.once('unexpected-response', (request, response) => {
          request.destroy();
          reject(new Refused(response.statusCode ?? 0, response));
        });
      }),
      `opening handshake with ${new URL(url).pathname}`,
    );
    return peer;
  }

  send(data: Buffer | string): void {
    this.socket.send(data);
  }

  /** The next message. @throws when the connection closes first or nothing comes in time */
  async next(withinMs?: number): Promise<Message> {
    for (;;) {
      const message = this.inbox.shift();
      if (message) return message;
      if (this.#closing) throw new Error(`closed: ${this.#closing.code} ${this.#closing.reason}`);
      await within(new Promise<void>((resolve) => this.#waiting.push(resolve)), 'message', withinMs);
    }
  }

  /** The next message as text. */
  async text(withinMs?: number): Promise<string> {
    return (await this.next(withinMs)).data.toString();
  }

  /** Waits for the close frame. */
  ended(withinMs?: number): Promise<Closing> {
    return within(this.closed, 'close', withinMs);
  }

  /** A proper close, to its end. */
  async close(code = 1000, reason = ''): Promise<Closing> {
    this.socket.close(code, reason);
    return await this.ended();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function asBuffer(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
