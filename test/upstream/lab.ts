import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { WebSocketRoute } from '../../internal/config/config.js';
import { GatewayError } from '../../internal/errors.js';
import { createLog } from '../../internal/telemetry/log/log.js';
import { Metrics } from '../../internal/telemetry/metrics/metrics.js';
import type { CircuitBreakerSources } from '../../internal/upstream/pool/circuit-breaker.js';
import { Sockets } from '../../internal/upstream/socket/sockets.js';
import { type DialRequest, Upstreams, type UpstreamsOptions } from '../../internal/upstream/upstreams.js';
import type { UpstreamConnection } from '../../internal/upstream/websocket/connection.js';
import type { UpstreamListener } from '../../internal/upstream/websocket/message-listener.js';
import type { FragmentPosition } from '../../internal/websocket/frame-decoder.js';
import { WEBSOCKET_DEFAULTS } from '../config/route-defaults.js';
import { within } from '../support/eventually.js';
import { type Frame, FrameReader } from '../support/protocols/frames.js';
import { switching } from '../support/upstreams/raw-upstream.js';

export const REQUEST: DialRequest = {
  protocol: 'raw',
  identity: undefined,
  token: undefined,
  client: { ip: '192.0.2.1', proto: 'https', host: 'gw.example.com', requestId: 'r-1' },
  headers: new Map(),
  cookie: undefined,
  rest: '',
  query: '',
  subprotocols: [],
};

const OPTIONS: UpstreamsOptions = {
  dialTimeoutMs: 10_000,
  dialAttempts: 1,
  dialIntervalMs: 10,
  failureThreshold: 0,
  openTimeoutMs: 60_000,
  healthcheckIntervalMs: 0,
  maxDialsPerEndpoint: 128,
  masking: 'zero',
  controlTimeoutMs: 10_000,
};

/** A WebSocket route with nothing special about it but `more`. */
export function routeTo(
  upstreams: string | readonly string[],
  more: Partial<WebSocketRoute> = {},
): WebSocketRoute {
  return {
    ...WEBSOCKET_DEFAULTS,
    prefix: '/t',
    upstreams: typeof upstreams === 'string' ? [upstreams] : upstreams,
    weights: [],
    ...more,
  };
}

/** TCP straight on Node's handles, and through `net.Socket` where there are none. */
export const SOCKETS: readonly (readonly [kind: string, make: () => Sockets])[] = [
  ['handles', () => new Sockets()],
  ['streams', () => new Sockets(null)],
];

export interface Lab {
  readonly upstreams: Upstreams;
  readonly metrics: Metrics;
}

export function makeLab(
  options: Partial<UpstreamsOptions> = {},
  sources?: CircuitBreakerSources,
  sockets?: Sockets,
): Lab {
  const metrics = new Metrics(10);
  const log = createLog({ logLevel: 'fatal', logFormat: 'json' });
  return { metrics, upstreams: new Upstreams({ ...OPTIONS, ...options }, metrics, log, sources, sockets) };
}

/** A TCP server whose sockets are known, closed at the end of the test. */
export class Peer {
  readonly sockets = new Set<Socket>();
  accepted = 0;
  constructor(readonly server: Server) {}

  static async start(onSocket: (socket: Socket) => void, server = createServer()): Promise<Peer> {
    const peer = new Peer(server);
    server.on('connection', (socket: Socket) => {
      peer.accepted++;
      peer.sockets.add(socket);
      socket.setNoDelay(true).on('error', () => {});
      socket.once('close', () => peer.sockets.delete(socket));
    });
    server.on(
      server.listenerCount('secureConnection') >= 0 && 'setSecureContext' in server
        ? 'secureConnection'
        : 'connection',
      (socket: Socket) => {
        socket.on('error', () => {});
        onSocket(socket);
      },
    );
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return peer;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/up`;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

/** Calls `onHead` with the request head of a connection and what came behind it. */
export function readHead(socket: Socket, onHead: (head: string, rest: Buffer) => void): void {
  let received = Buffer.alloc(0);
  const onData = (bytes: Buffer): void => {
    received = Buffer.concat([received, bytes]);
    const end = received.indexOf('\r\n\r\n');
    if (end < 0) return;
    socket.off('data', onData);
    onHead(received.toString('latin1', 0, end), received.subarray(end + 4));
  };
  socket.on('data', onData);
}

/** The far end of an open connection. */
export class FarEnd {
  readonly frames: Frame[] = [];
  ended = false;
  readonly #reader = new FrameReader();
  #wake: (() => void)[] = [];

  constructor(
    readonly socket: Socket,
    readonly head: string,
    rest: Buffer,
  ) {
    const take = (bytes: Buffer): void => {
      this.frames.push(...this.#reader.push(bytes));
      this.#notify();
    };
    socket.on('data', take).on('end', () => {
      this.ended = true;
      this.#notify();
    });
    socket.on('close', () => {
      this.ended = true;
      this.#notify();
    });
    take(rest);
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** Resolves once `check` holds. */
  async until(check: () => boolean, what: string): Promise<void> {
    while (!check()) await within(new Promise<void>((resolve) => this.#wake.push(resolve)), what);
  }

  async frame(index: number): Promise<Frame> {
    await this.until(() => this.frames.length > index, `frame ${index} at the upstream`);
    return this.frames[index]!;
  }
}

export type Event =
  | { readonly kind: 'message'; readonly payload: Buffer; readonly isBinary: boolean }
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string }
  | { readonly kind: 'lost'; readonly error: GatewayError };

/** Notes what a connection tells, fragments put together and checked for their order. */
export class Recorder implements UpstreamListener {
  readonly events: Event[] = [];
  readonly positions: FragmentPosition[] = [];
  batches = 0;
  drains = 0;
  receivedBytes = 0;
  #pieces: Buffer[] | undefined;
  #wake: (() => void)[] = [];

  onUpstreamMessage(payload: Buffer, isBinary: boolean): void {
    assert.equal(this.#pieces, undefined, 'no whole message inside a fragmented one');
    this.receivedBytes += payload.length;
    this.#add({ kind: 'message', payload: Buffer.from(payload), isBinary });
  }

  onUpstreamFragment(payload: Buffer, isBinary: boolean, position: FragmentPosition): void {
    this.positions.push(position);
    this.receivedBytes += payload.length;
    assert.equal(position === 'first', this.#pieces === undefined, 'first comes first');
    this.#pieces ??= [];
    this.#pieces.push(Buffer.from(payload));
    if (position === 'last') {
      this.#add({ kind: 'message', payload: Buffer.concat(this.#pieces), isBinary });
      this.#pieces = undefined;
    } else this.#notify();
  }

  onUpstreamBatch(work: () => void): void {
    this.batches++;
    work();
  }

  onUpstreamDrain(): void {
    this.drains++;
    this.#notify();
  }

  onUpstreamClose(code: number, reason: string): void {
    this.#add({ kind: 'closed', code, reason });
  }

  onUpstreamLost(error: GatewayError): void {
    assert.ok(error instanceof GatewayError);
    this.#add({ kind: 'lost', error });
  }

  get messages(): string[] {
    return this.events.flatMap((event) => (event.kind === 'message' ? [event.payload.toString()] : []));
  }

  /** The last word, once it is there. */
  async end(): Promise<Exclude<Event, { kind: 'message' }>> {
    await this.until(() => this.events.some(({ kind }) => kind !== 'message'), 'end of the connection');
    const ends = this.events.filter((event) => event.kind !== 'message');
    assert.equal(ends.length, 1, 'exactly one last word');
    assert.equal(this.events.at(-1), ends[0], 'and nothing after it');
    return ends[0]!;
  }

  async message(index: number): Promise<{ payload: Buffer; isBinary: boolean }> {
    await this.until(() => this.events.length > index, `message ${index} of the upstream`);
    const event = this.events[index]!;
    assert.equal(event.kind, 'message');
    return event as { payload: Buffer; isBinary: boolean };
  }

  async until(check: () => boolean, what: string): Promise<void> {
    while (!check()) await within(new Promise<void>((resolve) => this.#wake.push(resolve)), what);
  }

  #add(event: Event): void {
    this.events.push(event);
    this.#notify();
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** One lab with one upstream that answers every opening handshake rightly. */
export class Bench {
  readonly farEnds: FarEnd[] = [];
  #wake: (() => void)[] = [];
  #opened = 0;

  private constructor(
    readonly lab: Lab,
    public peer: Peer,
    readonly route: WebSocketRoute,
  ) {}

  static async start(options: Partial<UpstreamsOptions> = {}, sockets?: Sockets): Promise<Bench> {
    const lab = makeLab(options, undefined, sockets);
    let bench: Bench | undefined;
    const peer = await Peer.start((socket) => {
      readHead(socket, (head, rest) => {
        socket.write(switching(head));
        bench?.farEnds.push(new FarEnd(socket, head, rest));
        for (const wake of bench?.wake() ?? []) wake();
      });
    });
    bench = new Bench(lab, peer, routeTo(peer.url));
    return bench;
  }

  wake(): (() => void)[] {
    return this.#wake.splice(0);
  }

  /** An open connection, started unless told otherwise, and its far end. */
  async open(start = true): Promise<{ connection: UpstreamConnection; recorder: Recorder; far: FarEnd }> {
    const requestId = `r-${++this.#opened}`;
    const client = { ...REQUEST.client, requestId };
    const connection = await this.lab.upstreams.dial(this.route, { ...REQUEST, client });
    const recorder = new Recorder();
    if (start) connection.start(recorder);
    for (;;) {
      const far = this.farEnds.find(
        ({ head }) => head.includes(`X-Request-Id: ${requestId}\r\n`) || head.endsWith(requestId),
      );
      if (far) return { connection, recorder, far };
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Resolves once the upstream has no sockets any more. */
  async quiet(): Promise<void> {
    const started = Date.now();
    while (this.peer.sockets.size > 0) {
      assert.ok(Date.now() - started < 15_000, 'all sockets are gone');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    this.lab.upstreams.stop();
    await this.peer.close();
  }
}
