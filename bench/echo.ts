/**
 * The upstream of every benchmark: a WebSocket echo on bare sockets. Prints its port when it listens on 127.0.0.1.
 */
import { createHash } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { FrameReader, frameHeader } from './frames.js';

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

class EchoConnection extends FrameReader {
  #head = '';
  #open = false;
  #key = Buffer.alloc(4);
  #keyed = false;
  #keyAt = 0;
  /** What one read has to be answered with. */
  #answer: Buffer[] = [];

  constructor(readonly socket: Socket) {
    super();
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => socket.destroy());
  }

  #onData(chunk: Buffer): void {
    if (this.#open) this.read(chunk);
    else this.#readHead(chunk);
    if (this.#answer.length === 0) return;
    this.socket.write(this.#answer.length === 1 ? (this.#answer[0] ?? '') : Buffer.concat(this.#answer));
    this.#answer = [];
  }

  #readHead(chunk: Buffer): void {
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const key = /^sec-websocket-key: *(\S+)/im.exec(this.#head)?.[1];
    if (key === undefined) return void this.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    const accept = createHash('sha1')
      .update(key + GUID)
      .digest('base64');
    this.socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    this.#open = true;
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1');
    this.#head = '';
    this.read(rest);
  }

  protected override onFrame(opcode: number, payloadBytes: number, key: Buffer): void {
    key.copy(this.#key);
    this.#keyed = key.readUInt32BE(0) !== 0;
    this.#keyAt = 0;
    if (opcode !== 0xa) this.#answer.push(frameHeader(opcode === 0x9 ? 0xa : opcode, payloadBytes));
  }

  /** Unmasked in place: the chunk is this connection's own. */
  protected override onPayload(part: Buffer): void {
    if (this.#keyed) {
      const key = this.#key;
      let at = this.#keyAt;
      for (let index = 0; index < part.length; index++) {
        part[index] = (part[index] ?? 0) ^ (key[at++ & 3] ?? 0);
      }
      this.#keyAt = at & 3;
    }
    this.#answer.push(part);
  }

  protected override onFrameEnd(opcode: number): void {
    if (opcode !== 0x8) return;
    this.socket.end(Buffer.concat(this.#answer));
    this.#answer = [];
  }
}

const server = createServer((socket) => {
  new EchoConnection(socket);
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log((server.address() as AddressInfo).port);
});
