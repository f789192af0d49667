import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { reset } from '../../internal/runtime/tcp-reset.js';
import { clientFrame, clientPong, FrameReader } from '../frames.js';
import { connectPacket } from '../soak/wire.js';

/** Where all visitors read into. */
const BUFFER = Buffer.allocUnsafe(65_536);
const PONG = clientPong();
/** What clients give a connection to become an MQTT session. */
const PATIENCE_MS = 30_000;

export interface VisitorOptions {
  readonly port: number;
  readonly path: string;
  readonly clientId: string;
  readonly token: string;
  /** Its CONNACK has come, and it lets it in. */
  readonly onIn: () => void;
  /** Its connection is at an end. @param how in a word or two: `HTTP 503`, `close 1013`, `reset`. */
  readonly onEnd: (how: string) => void;
}

/** One connection of an MQTT client whose token is the password of its CONNECT. */
export class Visitor extends FrameReader {
  readonly #options: VisitorOptions;
  readonly #socket: Socket;
  readonly #patience: NodeJS.Timeout;
  #head = '';
  #open = false;
  #isIn = false;
  #how = 'reset';
  #payload: Buffer[] = [];

  constructor(options: VisitorOptions) {
    super();
    this.#options = options;
    const callback = (length: number): boolean => {
      this.#onRead(length);
      return true;
    };
    const { port, path } = options;
    const onread = { buffer: BUFFER, callback };
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread });
    this.#socket.on('error', () => {});
    this.#socket.once('close', () => {
      clearTimeout(this.#patience);
      options.onEnd(this.#how);
    });
    this.#patience = setTimeout(() => this.#leave('no CONNACK'), PATIENCE_MS);
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n' +
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    );
  }

  /** As a link does that breaks. */
  cut(): void {
    reset(this.#socket);
  }

  #leave(how: string): void {
    this.#how = how;
    this.#socket.destroy();
  }

  #onRead(length: number): void {
    if (this.#open) return this.read(BUFFER, length);
    this.#head += BUFFER.toString('latin1', 0, length);
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const status = this.#head.slice(9, 12);
    if (status !== '101') return this.#leave(`HTTP ${status}`);
    this.#open = true;
    this.#socket.write(clientFrame(0x2, connectPacket(this.#options.clientId, this.#options.token)));
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1');
    this.#head = '';
    this.read(rest);
  }

  protected override onPayload(part: Buffer): void {
    this.#payload.push(Buffer.from(part));
  }

  protected override onFrameEnd(opcode: number): void {
    const payload = Buffer.concat(this.#payload);
    this.#payload = [];
    if (opcode === 0x9) this.#socket.write(PONG);
    else if (opcode === 0x8)
      this.#leave(`close ${payload.length < 2 ? 'without a code' : payload.readUInt16BE(0)}`);
    else if (opcode < 0x8) this.#onPacket(payload);
  }

  /** MQTT 3.1.1 §3.2: the last byte of a CONNACK is 0 when it lets the client in. */
  #onPacket(packet: Buffer): void {
    if (this.#isIn || packet[0] !== 0x20) return;
    if (packet[3] !== 0) return this.#leave(`CONNACK ${packet[3]}`);
    this.#isIn = true;
    clearTimeout(this.#patience);
    this.#options.onIn();
  }
}
