import type { Endpoint } from '../pool/endpoint.js';
import { targetOf } from '../socket/socket-target.js';
import type { Sockets } from '../socket/sockets.js';
import type { TlsContexts } from '../socket/tls-contexts.js';
import { Connection, type Dial } from './connection.js';
import { SendQueue } from './send-queue.js';

/** How often idle connections are looked for that have been so for too long, in milliseconds. */
const SWEEP_MS = 1_000;

/** Kept-alive connections to one endpoint: as many as there are requests under way, and the idle ones. */
export class EndpointPool {
  /**
   * The one that served last at the end: it is the likeliest to be alive, and the others may grow old. Those
   * that have gone meanwhile stay in it until they are met: an upstream that ends thousands at once would
   * have each looked for among all.
   */
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  #isClosed: boolean = false;

  constructor(readonly dial: Dial) {}

  /**
   * A connection for one request, to be given back or dropped. None whose time is over since the last sweep:
   * the other side may be about to end it, under a request that cannot be sent again.
   */
  take(): Connection {
    const nowMs = performance.now();
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop())
      if (idle.idleUntilMs <= nowMs) idle.destroy();
      else if (idle.isOpen) return idle;
    const connection = new Connection(this.dial, this.#onLost);
    this.#all.add(connection);
    return connection;
  }

  /** Its request has been answered whole. */
  give(connection: Connection): void {
    if (this.#isClosed) connection.destroy();
    else if (connection.isOpen) this.#idle.push(connection);
  }

  /** Lets go of those that have been idle for too long. */
  sweep(nowMs: number): void {
    let kept = 0;
    for (const connection of this.#idle)
      if (connection.idleUntilMs <= nowMs) connection.destroy();
      else if (connection.isOpen) this.#idle[kept++] = connection;
    this.#idle.length = kept;
  }

  /** Takes no more; what is under way ends by itself. */
  close(): void {
    this.#isClosed = true;
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  /** Cuts every connection. */
  destroy(): void {
    this.#isClosed = true;
    for (const connection of [...this.#all]) connection.destroy();
  }

  readonly #onLost = (connection: Connection): void => {
    this.#all.delete(connection);
  };
}

/** Kept-alive connections to every endpoint that exchanges have gone to. */
export class Pools {
  /** By endpoint, then by the time routes allow for a connection. */
  readonly #pools = new Map<Endpoint, Map<number, EndpointPool>>();

  readonly #queue = new SendQueue();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly contexts: TlsContexts,
    readonly sockets: Sockets,
  ) {}

  /** @throws what OpenSSL says of bad TLS settings. */
  of(endpoint: Endpoint, connectMs: number): EndpointPool {
    let pools = this.#pools.get(endpoint);
    if (pools === undefined) {
      pools = new Map();
      this.#pools.set(endpoint, pools);
    }
    let pool = pools.get(connectMs);
    if (pool === undefined) {
      pool = new EndpointPool(this.#dial(endpoint, connectMs));
      pools.set(connectMs, pool);
    }
    return pool;
  }

  #dial(endpoint: Endpoint, connectMs: number): Dial {
    const { sockets } = this;
    const target = targetOf(endpoint, this.contexts);
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
    return {
      ...{ endpoint, connectMs, queue: this.#queue, readBuffer: sockets.readBuffer },
      open: (owner) => sockets.open(target, owner),
    };
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const pools of this.#pools.values()) for (const pool of pools.values()) pool.sweep(nowMs);
  }

  /** Lets go of endpoints that no route names any more; what is under way on them ends by itself. */
  retain(endpoints: Iterable<Endpoint>): void {
    const kept = new Set(endpoints);
    for (const endpoint of this.#pools.keys()) if (!kept.has(endpoint)) this.release(endpoint);
  }

  /** Likewise, one of them. */
  release(endpoint: Endpoint): void {
    const pools = this.#pools.get(endpoint);
    this.#pools.delete(endpoint);
    for (const pool of pools?.values() ?? []) pool.close();
  }

  /** Cuts every connection. */
  destroy(): void {
    clearInterval(this.#timer);
    for (const pools of this.#pools.values()) for (const pool of pools.values()) pool.destroy();
    this.#pools.clear();
  }
}
