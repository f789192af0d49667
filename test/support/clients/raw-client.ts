import { connect, type Socket } from 'node:net';
import { within } from '../eventually.js';
import { encodeFrame, type Frame, type FrameOptions, FrameReader } from '../protocols/frames.js';
import { track } from './leftovers.js';

/** The key of RFC 6455 §1.3; any will do. */
export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

export interface RawAnswer {
  readonly status: number;
  /** Lower-case names; values of repeated ones joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly head: string;
}

/** A TCP connection that sends exactly the bytes it is told to. */
export class RawClient {
  readonly closed: Promise<void>;
  readonly #arrivals: (() => void)[] = [];
  #received: Buffer = Buffer.alloc(0);

  constructor(readonly socket: Socket) {
    socket.on('error', () => {});
    socket.once(
      'close',
      track(() => socket.destroy()),
    );
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#wake();
        resolve();
      });
    });
  }

  /** @param localAddress source address; the gateway counts limits by it. */
  static async connect(port: number, localAddress = '127.0.0.1'): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    const client = new RawClient(socket);
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      }),
      'TCP connection',
    );
    return client;
  }

  write(bytes: Buffer | string): void {
    this.socket.write(bytes);
  }

  /** What has come and was not taken yet. */
  get received(): Buffer {
    return this.#received;
  }

  /** Takes what has come, one character a byte. */
  take(): string {
    const text = this.#received.toString('latin1');
    this.#received = Buffer.alloc(0);
    return text;
  }

  /** Waits for a whole response head and takes it; undefined: the peer closed before. */
  async readHead(withinMs?: number): Promise<RawAnswer | undefined> {
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end >= 0) {
        const head = this.#received.toString('latin1', 0, end);
        this.#received = this.#received.subarray(end + 4);
        return parseHead(head);
      }
      if (this.socket.closed) return undefined;
      await within(new Promise<void>((resolve) => this.#arrivals.push(resolve)), 'response head', withinMs);
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  #wake(): void {
    for (const resolve of this.#arrivals.splice(0)) resolve();
  }

  /** Turns to frames after a 101: yields them until the peer closes. */
  async *frames(withinMs?: number): AsyncGenerator<Frame, void> {
    const reader = new FrameReader();
    for (;;) {
      const bytes = this.#received;
      this.#received = Buffer.alloc(0);
      yield* reader.push(bytes);
      if (this.#received.length > 0) continue;
      if (this.socket.closed) return;
      await within(new Promise<void>((resolve) => this.#arrivals.push(resolve)), 'frame', withinMs);
    }
  }

  /** Sends one masked frame. */
  frame(opcode: number, payload: Buffer | string = '', options: FrameOptions = {}): void {
    this.write(encodeFrame(opcode, payload, { mask: MASK, ...options }));
  }
}

/** Lines of a right opening handshake request, to be changed by tests. */
export function handshakeHead(
  port: number,
  path: string,
  headers: readonly string[] = [],
  options: { readonly without?: readonly string[]; readonly requestLine?: string } = {},
): string {
  const standard = [
    `Host: 127.0.0.1:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${KEY}`,
    'Sec-WebSocket-Version: 13',
  ].filter((line) => !options.without?.includes(line.split(':')[0]!));
  return [options.requestLine ?? `GET ${path} HTTP/1.1`, ...standard, ...headers, '', ''].join('\r\n');
}

/** Sends `head` and waits for the answer; undefined: closed without one. The connection is the caller's. */
export async function exchange(
  port: number,
  head: string,
  withinMs?: number,
): Promise<{ readonly client: RawClient; readonly answer: RawAnswer | undefined }> {
  const client = await RawClient.connect(port);
  client.write(Buffer.from(head, 'latin1'));
  return { client, answer: await client.readHead(withinMs) };
}

function parseHead(head: string): RawAnswer {
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return { status: Number(statusLine.split(' ')[1]), headers, head };
}
