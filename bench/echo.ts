/**
 * The upstream of most benchmarks: a WebSocket echo on bare sockets. Prints its port when it listens on
 * 127.0.0.1; takes one as its argument. Compressed messages go back as they came, which is right as long as
 * no context is taken over.
 */
import { createHash } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { FrameReader, frameHeader, RSV1 } from './frames.js';

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** RFC 7692 §7.1.1: every message can be inflated by itself. */
const COMPRESSION =
  'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n';

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
    const compresses = /^sec-websocket-extensions:.*permessage-deflate/im.test(this.#head);
    this.socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `${compresses ? COMPRESSION : ''}Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    this.#open = true;
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1');
    this.#head = '';
    this.read(rest);
  }

  protected override onFrame(first: number, payloadBytes: number, key: Buffer): void {
    const opcode = first & 0x0f;
    key.copy(this.#key);
    this.#keyed = key.readUInt32BE(0) !== 0;
    this.#keyAt = 0;
    const answer = opcode === 0x9 ? 0xa : opcode | (first & RSV1);
    if (opcode !== 0xa) this.#answer.push(frameHeader(answer, payloadBytes));
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
server.listen({ port: Number(process.argv[2] ?? 0), host: '127.0.0.1', backlog: 4096 }, () => {
  console.log((server.address() as AddressInfo).port);
});
