import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { clientPong, FrameReader } from './frames.js';

const PONG = clientPong();

export interface Address {
  readonly port: number;
  readonly path: string;
}

/** One client: a bare socket, one read buffer for all of them. */
export class LoadConnection extends FrameReader {
  readonly opened: Promise<void>;
  readonly closed: Promise<void>;
  /** Whole messages of the read that is being handled. */
  #messages = 0;
  #head = '';
  #open = false;
  readonly #socket: Socket;
  #onOpen: () => void = () => {};
  #onFail: (error: Error) => void = () => {};

  /** @param onMessages hears how many messages a read completed. */
  constructor(
    address: Address,
    token: string | undefined,
    buffer: Buffer,
    readonly onMessages: (connection: LoadConnection, count: number) => void,
  ) {
    super();
    const { port, path } = address;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer,
        callback: (length) => {
          this.#onRead(buffer, length);
          return true;
        },
      },
    });
    this.opened = new Promise((resolve, reject) => {
      this.#onOpen = resolve;
      this.#onFail = reject;
    });
    this.closed = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    this.#socket.once('error', (error) => this.#onFail(error));
    this.#socket.once('close', () => this.#onFail(new Error('connection closed')));
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
        `${token === undefined ? '' : `Authorization: Bearer ${token}\r\n`}\r\n`,
    );
  }

  send(frames: Buffer): void {
    this.#socket.write(frames);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onRead(buffer: Buffer, length: number): void {
    if (!this.#open) return this.#readHead(buffer.subarray(0, length));
    this.#messages = 0;
    this.read(buffer, length);
    if (this.#messages > 0) this.onMessages(this, this.#messages);
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
    this.read(Buffer.from(this.#head.slice(end + 4), 'latin1'));
    this.#head = '';
    this.#onOpen();
  }

  protected override onFrameEnd(opcode: number, final: boolean): void {
    if (opcode === 0x9) this.#socket.write(PONG);
    else if (opcode === 0x8) this.#socket.end();
    else if (final && opcode < 0x8) this.#messages++;
  }
}
