/**
 * The least that a gateway on uWebSockets.js and Node.js can do: accept, dial, pass messages on. It asks for no token,
 * bounds and counts nothing, checks nothing it reads, takes every message for a binary one of less than 64 KiB, and would
 * do harm anywhere but here, where it shows how much of the gateway's cost is the runtime's.
 *
 * Arguments: its port and its upstream's, both on 127.0.0.1.
 */
import type { WebSocket } from 'uWebSockets.js';
import { uWS } from '../internal/gateway/uws/uws.js';
import type { SocketOwner, UpstreamSocket } from '../internal/upstream/socket/socket.js';
import { Sockets } from '../internal/upstream/socket/sockets.js';
import { Opcode } from '../internal/upstream/websocket/frame.js';
import { FrameWriter } from '../internal/upstream/websocket/frame-writer.js';

const [port = 0, upstreamPort = 0] = process.argv.slice(2).map(Number);
const sockets = new Sockets();
const writer = new FrameWriter(undefined);

interface Bare {
  readonly pair: Pair;
}

/** One client and its upstream. */
class Pair implements SocketOwner {
  client: WebSocket<Bare> | undefined;
  readonly #upstream: UpstreamSocket;
  readonly #early: Uint8Array[] = [];
  #open = false;
  /** Bytes that were read. */
  #end = 0;
  /** Bytes still to come of a frame that a read cut off. */
  #left = 0;

  constructor(readonly subprotocol: string) {
    this.#upstream = sockets.open({ host: '127.0.0.1', port: upstreamPort, tls: undefined }, this);
  }

  fromClient(payload: Uint8Array): void {
    if (this.#open) writer.write(this.#upstream, Opcode.BINARY, payload);
    else this.#early.push(payload.slice());
  }

  clientClosed(): void {
    this.client = undefined;
    this.#upstream.destroy();
  }

  socketReady(): void {
    const offer = this.subprotocol === '' ? '' : `Sec-WebSocket-Protocol: ${this.subprotocol}\r\n`;
    this.#upstream.write(
      Buffer.from(
        `GET /echo HTTP/1.1\r\nHost: 127.0.0.1:${upstreamPort}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${offer}\r\n`,
      ),
    );
  }

  socketRead(length: number): boolean {
    const { bytes } = sockets.readBuffer;
    if (!this.#open) {
      // The answer comes in one piece, and nothing behind it.
      this.#open = true;
      for (const payload of this.#early.splice(0)) this.fromClient(payload);
      return true;
    }
    this.#end = length;
    if (this.#left >= length || (this.#left === 0 && frameEnd(bytes, 0) >= length)) this.#pass();
    else this.client?.cork(this.#pass);
    return true;
  }

  readonly #pass = (): void => {
    const { bytes } = sockets.readBuffer;
    let at = 0;
    if (this.#left > 0) {
      at = Math.min(this.#left, this.#end);
      this.#left -= at;
      const rest = bytes.subarray(0, at);
      if (this.#left > 0) this.client?.sendFragment(rest, false);
      else this.client?.sendLastFragment(rest, false);
    }
    while (at < this.#end) {
      const start = at + ((bytes[at + 1] ?? 0) === 126 ? 4 : 2);
      const end = frameEnd(bytes, at);
      if (end <= this.#end) this.client?.send(sockets.readBuffer.view(start, end), true, false);
      else this.client?.sendFirstFragment(bytes.subarray(start, this.#end), true, false);
      this.#left = Math.max(0, end - this.#end);
      at = end;
    }
  };

  socketEnded(): void {
    this.#upstream.destroy();
    this.client?.close();
  }

  socketFailed(): void {
    this.socketEnded();
  }

  socketClosed(): void {}
}

function frameEnd(bytes: Buffer, at: number): number {
  const length = (bytes[at + 1] ?? 0) & 0x7f;
  return length === 126 ? at + 4 + bytes.readUInt16BE(at + 2) : at + 2 + length;
}

uWS
  .App()
  .ws<Bare>('/*', {
    maxPayloadLength: 1_048_576,
    maxBackpressure: 8_388_608,
    idleTimeout: 0,
    sendPingsAutomatically: false,
    upgrade: (response, request, context) => {
      const subprotocol = request.getHeader('sec-websocket-protocol');
      const key = request.getHeader('sec-websocket-key');
      response.upgrade({ pair: new Pair(subprotocol) }, key, subprotocol, '', context);
    },
    open: (ws) => {
      ws.getUserData().pair.client = ws;
    },
    message: (ws, message) => ws.getUserData().pair.fromClient(new Uint8Array(message)),
    close: (ws) => ws.getUserData().pair.clientClosed(),
  })
  .listen('127.0.0.1', port, (socket) => {
    if (!socket) throw new Error(`cannot listen on port ${port}`);
  });
