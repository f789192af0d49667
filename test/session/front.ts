import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type ClientSocketShared, NodeClientSocket } from '../../internal/gateway/node/client-socket.js';
import type { Opening } from '../../internal/session/opening/opening.js';
import type { Session } from '../../internal/session/session.js';
import { Sockets } from '../../internal/upstream/socket/sockets.js';
import { type TcpBinding, tcpBinding } from '../../internal/upstream/socket/tcp-binding.js';
import { FrameWriter } from '../../internal/upstream/websocket/frame-writer.js';
import { eventually } from '../support/eventually.js';
import { type RawUpstream, startRawUpstream, switching } from '../support/upstreams/raw-upstream.js';
import { type Bench, type BenchOptions, bench } from './parts.js';

/** A session between two sockets of the test's own: frames go in and come out as bytes. */
export interface Between {
  readonly session: Session;
  readonly client: Socket;
  readonly upstream: Socket;
}

/**
 * Sessions of clients whose frames pass as they came, with no listener in front: the gateway's end of each
 * client is a socket as the listener `node` has them, behind the 101.
 */
export class Front {
  readonly #sockets: Sockets;
  readonly #shared: ClientSocketShared;
  #opened: Promise<unknown> = Promise.resolve();

  constructor(
    readonly bench: Bench,
    readonly upstreamServer: RawUpstream,
    readonly clientServer: Server,
    binding: TcpBinding | null,
  ) {
    this.#sockets = new Sockets(binding);
    this.#shared = { readBuffer: this.#sockets.readBuffer, writer: new FrameWriter(undefined) };
  }

  static async start(
    t: TestContext,
    options: Omit<BenchOptions, 'routes'> & {
      readonly route?: Partial<BenchOptions['routes'][number]>;
      readonly handles?: boolean;
    } = {},
  ): Promise<Front> {
    const upstreamServer = await startRawUpstream((socket, head) => {
      socket.pause();
      const lines = /^sec-websocket-protocol: *mqtt/im.test(head) ? ['Sec-WebSocket-Protocol: mqtt'] : [];
      socket.write(switching(head, lines));
    });
    const clientServer = createServer({ noDelay: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(clientServer, 'listening');
    const { route, handles = true, ...rest } = options;
    const parts = await bench(t, {
      ...rest,
      routes: [{ auth: 'public', ...route, upstreams: [upstreamServer.url] }],
    });
    t.after(async () => {
      await upstreamServer.close();
      clientServer.close();
    });
    return new Front(parts, upstreamServer, clientServer, handles ? tcpBinding() : null);
  }

  /** A client's connection, and a handshake to open a session on it. */
  async dial(
    early: Buffer = Buffer.alloc(0),
    opening: Partial<Opening> & { token?: string } = {},
  ): Promise<{
    session: Session;
    client: Socket;
  }> {
    const connection = once(this.clientServer, 'connection');
    let ready = () => {};
    const isReady = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const { port } = this.clientServer.address() as AddressInfo;
    const socket = this.#sockets.open(
      { host: '127.0.0.1', port, tls: undefined },
      {
        socketReady: ready,
        socketRead: () => false,
        socketEnded: () => {},
        socketFailed: () => {},
        socketClosed: () => {},
      },
    );
    const [client] = (await connection) as [Socket];
    client.on('error', () => {});
    await isReady;
    socket.pause();
    let session: Session | undefined;
    session = this.bench.join(
      {
        offered: opening.subprotocols ?? [],
        turnAway: () => {},
        accept: () => {
          const accepted = new NodeClientSocket(socket, this.#shared);
          queueMicrotask(() => session !== undefined && accepted.start(session, early));
          return accepted;
        },
      },
      opening,
    );
    return { session, client };
  }

  /** An open session; both ends are paused. One after the other, so that each gets its own two ends. */
  open(early?: Buffer): Promise<Between> {
    const opened = this.#opened.then(() => this.#open(early));
    this.#opened = opened.catch(() => {});
    return opened;
  }

  async #open(early: Buffer | undefined): Promise<Between> {
    const upstream = this.#nextUpstream();
    const { session, client } = await this.dial(early);
    const far = await upstream;
    await eventually(() => session.state === 'open');
    return { session, client, upstream: far };
  }

  #nextUpstream(): Promise<Socket> {
    return new Promise((resolve) => {
      const { script } = this.upstreamServer;
      this.upstreamServer.script = (socket, head, rest) => {
        this.upstreamServer.script = script;
        script(socket, head, rest);
        resolve(socket);
      };
    });
  }
}

/** Reads from now on and keeps all that comes. */
export class Inbox {
  #bytes: Buffer[] = [];
  length = 0;
  ended = false;
  closed = false;

  constructor(readonly socket: Socket) {
    socket.on('data', (bytes) => {
      this.#bytes.push(bytes);
      this.length += bytes.length;
    });
    socket.once('end', () => {
      this.ended = true;
    });
    socket.once('close', () => {
      this.closed = true;
    });
    socket.resume();
  }

  get bytes(): Buffer {
    const all = Buffer.concat(this.#bytes);
    this.#bytes = [all];
    return all;
  }
}
