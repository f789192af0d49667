import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** An HTTP server that keeps every byte it is sent, and answers each head with the same words. */
export class RecordingUpstream {
  /** One text a connection, one character a byte. */
  readonly heard: string[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#take(socket));
  answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

  static async start(): Promise<RecordingUpstream> {
    const upstream = new RecordingUpstream();
    upstream.#server.listen(0, '127.0.0.1');
    await once(upstream.#server, 'listening');
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** All heads so far, one a request. */
  get heads(): readonly string[] {
    return this.heard.flatMap(
      (text) => text.match(/^[A-Z]+ [^\r\n]* HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)*\r\n/gm) ?? [],
    );
  }

  reset(): void {
    this.heard.length = 0;
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.reset();
  }

  #take(socket: Socket): void {
    this.#sockets.add(socket);
    const index = this.heard.push('') - 1;
    let answered = 0;
    socket
      .on('error', () => {})
      .on('close', () => this.#sockets.delete(socket))
      .on('data', (chunk: Buffer) => {
        this.heard[index] += chunk.toString('latin1');
        const heads = this.heard[index]?.split('\r\n\r\n').length ?? 1;
        if (heads - 1 > answered && /^[A-Z]+ /.test(this.heard[index] ?? '')) {
          answered++;
          socket.write(this.answer, 'latin1');
        }
      });
  }
}
