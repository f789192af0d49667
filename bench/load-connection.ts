import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { clientPong, FrameReader, RSV1 } from './frames.js';
import { connectTls, type TlsClients } from './load-tls.js';

const PONG = clientPong();

export interface Address {
  readonly port: number;
  readonly path: string;
}

export interface ConnectionOptions extends Address {
  readonly token: string | undefined;
  /** Where all connections read into. */
  readonly buffer: Buffer;
  readonly subprotocol?: string | undefined;
  /** Offers permessage-deflate as browsers do. */
  readonly offersDeflate?: boolean | undefined;
  readonly tls?: TlsClients | undefined;
  /** Source address; default: the system's choice. */
  readonly localAddress?: string | undefined;
  /** Hears how many messages a read completed. */
  readonly onMessages: (connection: LoadConnection, count: number) => void;
}

/** A message as it was on the wire. */
export interface Captured {
  readonly compressed: boolean;
  readonly payload: Buffer;
}

/** One client: a bare socket, one read buffer for all of them. */
export class LoadConnection extends FrameReader {
  readonly opened: Promise<void>;
  readonly closed: Promise<void>;
  /** Whether the server took up permessage-deflate. */
  deflates = false;
  /** Bytes that came after the opening handshake, without TLS. */
  bytesRead = 0;
  /** Whole messages of the read that is being handled. */
  #messages = 0;
  #head = '';
  #open = false;
  readonly #socket: Socket;
  readonly #onMessages: ConnectionOptions['onMessages'];
  #onOpen: () => void = () => {};
  #onFail: (error: Error) => void = () => {};
  #onCaptured: (() => void) | undefined;

  constructor(options: ConnectionOptions) {
    super();
    const { buffer } = options;
    this.#onMessages = options.onMessages;
    const callback = (length: number): boolean => {
      this.#onRead(buffer, length);
      return true;
    };
    const { port, localAddress, tls } = options;
    const where = { port, host: '127.0.0.1', onread: { buffer, callback } };
    this.#socket =
      tls === undefined
        ? connect({ ...where, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) })
        : connectTls(where, tls);
    this.opened = new Promise((resolve, reject) => {
      this.#onOpen = resolve;
      this.#onFail = reject;
    });
    this.closed = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    this.#socket.once('error', (error) => this.#onFail(error));
    this.#socket.once('close', () => this.#onFail(new Error('connection closed')));
    this.#socket.write(requestHead(options));
  }

  send(frames: Buffer): void {
    this.#socket.write(frames);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The next message, whole, as it comes. */
  async capture(): Promise<Captured> {
    const parts: Buffer[] = [];
    let compressed = false;
    await new Promise<void>((resolve) => {
      this.#onCaptured = resolve;
      this.onFrame = (first) => {
        compressed ||= (first & RSV1) !== 0;
      };
      this.onPayload = (part) => void parts.push(Buffer.from(part));
    });
    return { compressed, payload: Buffer.concat(parts) };
  }

  #onRead(buffer: Buffer, length: number): void {
    if (!this.#open) return this.#readHead(buffer.subarray(0, length));
    this.bytesRead += length;
    this.#messages = 0;
    this.read(buffer, length);
    if (this.#messages > 0) this.#onMessages(this, this.#messages);
  }

  #readHead(chunk: Buffer): void {
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    if (!this.#head.startsWith('HTTP/1.1 101')) {
      this.#onFail(new Error(this.#head.slice(0, this.#head.indexOf('\r\n'))));
      return this.destroy();
    }
    this.#open = true;
    this.deflates = /^sec-websocket-extensions:.*permessage-deflate/im.test(this.#head);
    this.read(Buffer.from(this.#head.slice(end + 4), 'latin1'));
    this.#head = '';
    this.#onOpen();
  }

  protected override onFrameEnd(opcode: number, final: boolean): void {
    if (opcode === 0x9) this.#socket.write(PONG);
    else if (opcode === 0x8) this.#socket.end();
    else if (final && opcode < 0x8) this.#onMessageEnd();
  }

  #onMessageEnd(): void {
    this.#messages++;
    if (this.#onCaptured === undefined) return;
    this.#onCaptured();
    this.#onCaptured = undefined;
    // Back to reading headers only.
    delete this.onFrame;
    delete this.onPayload;
  }
}

function requestHead({ port, path, token, subprotocol, offersDeflate }: ConnectionOptions): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
  ];
  if (subprotocol !== undefined) lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`);
  if (offersDeflate) lines.push('Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits');
  if (token !== undefined) lines.push(`Authorization: Bearer ${token}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
