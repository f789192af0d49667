import { createHash } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** What a scripted upstream does once a request head has come; `rest` is what came behind it. */
export type Script = (socket: Socket, head: string, rest: Buffer) => void;

/** A TCP server that answers opening handshakes by script, right or wrong. */
export class RawUpstream {
  /** Request heads of sessions, in order; health probes, which stand for no client, are left out. */
  readonly heads: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(public script: Script) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
      let received: Buffer = Buffer.alloc(0);
      const onData = (bytes: Buffer): void => {
        received = Buffer.concat([received, bytes]);
        const end = received.indexOf('\r\n\r\n');
        if (end < 0) return;
        socket.off('data', onData);
        const head = received.toString('latin1', 0, end);
        if (/^x-forwarded-for:/im.test(head)) {
          this.heads.push(head);
          this.script(socket, head, received.subarray(end + 4));
        } else socket.end('HTTP/1.1 204 No Content\r\n\r\n');
      };
      socket.on('data', onData);
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  openSockets(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

export async function startRawUpstream(script: Script): Promise<RawUpstream> {
  const upstream = new RawUpstream(script);
  await upstream.listen();
  return upstream;
}

/** Sec-WebSocket-Accept for the key in a request head (RFC 6455 §4.2.2). */
export function acceptFor(head: string): string {
  const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? '';
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** A right 101 for a request head, with further header lines. */
export function switching(head: string, lines: readonly string[] = []): string {
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptFor(head)}`,
    ...lines,
    '',
    '',
  ].join('\r\n');
}
