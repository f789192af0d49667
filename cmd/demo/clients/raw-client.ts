import { type ClientOptions, WebSocket } from 'ws';
import { inTime } from './waiting.js';

/** How a connection ended. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

/** A WebSocket client that keeps what it receives until it is asked for. */
export class RawClient {
  readonly #socket: WebSocket;
  readonly #received: string[] = [];
  readonly #wanted: ((text: string) => void)[] = [];
  readonly #ended: Promise<Ending>;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.#ended = endingOf(socket);
    socket.on('message', (data) => {
      const text = String(data);
      const take = this.#wanted.shift();
      if (take === undefined) this.#received.push(text);
      else take(text);
    });
  }

  /** Resolves once the gateway has answered 101; rejects with the HTTP status otherwise. */
  static async connect(url: string, options: ClientOptions = {}): Promise<RawClient> {
    const socket = new WebSocket(url, options);
    const client = new RawClient(socket);
    await inTime(
      new Promise<void>((resolve, reject) => {
        socket.once('open', resolve);
        socket.on('error', reject);
      }),
      `answer from ${url}`,
    );
    return client;
  }

  send(message: string): void {
    this.#socket.send(message);
  }

  /** The next message; rejects if the connection ends before it has come. */
  async next(): Promise<string> {
    const waiting = this.#received.shift();
    if (waiting !== undefined) return waiting;
    const message = new Promise<string>((resolve) => this.#wanted.push(resolve));
    const ended = this.#ended.then(({ code, reason }) => {
      throw new Error(`closed with ${code} "${reason}" instead of an answer`);
    });
    return await inTime(Promise.race([message, ended]), 'message');
  }

  /** A JSON-RPC 2.0 call; rejects with the error's text. */
  async call(method: string, params?: unknown): Promise<unknown> {
    this.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
    const { result, error } = JSON.parse(await this.next()) as {
      result?: unknown;
      error?: { message: string };
    };
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  async ended(): Promise<Ending> {
    return await inTime(this.#ended, 'close frame');
  }

  async close(): Promise<void> {
    this.#socket.close(1000);
    await this.ended();
  }
}

export function endingOf(socket: WebSocket): Promise<Ending> {
  return new Promise((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
  });
}

/** The HTTP status with which an opening handshake is refused; 101 if it is not. */
export async function handshakeStatus(url: string, options: ClientOptions = {}): Promise<number> {
  const socket = new WebSocket(url, options);
  return await inTime(
    new Promise((resolve, reject) => {
      socket.once('open', () => {
        socket.terminate();
        resolve(101);
      });
      socket.once('unexpected-response', (request, response) => {
        request.destroy();
        resolve(response.statusCode ?? 0);
      });
      socket.on('error', reject);
    }),
    `answer from ${url}`,
  );
}
