import type { Endpoint } from '../pool/endpoint.js';
import { targetOf } from '../socket/socket-target.js';
import type { Sockets } from '../socket/sockets.js';
import type { TlsContexts } from '../socket/tls-contexts.js';
import { Connection, type Dial } from './connection.js';
import { SendQueue } from './send-queue.js';

/** Interval at which connections that are idle for too long are closed, in milliseconds. */
const SWEEP_MS = 1_000;

/** Connections to one endpoint: one for each request under way, and idle ones. */
export class EndpointPool {
  /**
   * Idle connections, the one used last at the end: it is the likeliest to be alive, and the others may
   * expire. Those that were closed meanwhile stay until they are met, as an upstream may close thousands at
   * once and each would have to be searched for.
   */
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  #isClosed: boolean = false;

  constructor(readonly dial: Dial) {}

  /**
   * Takes a connection for one request; it has to be given back or dropped. Not one that has expired since
   * the last sweep: the upstream may be about to close it under a request that cannot be sent again.
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

  /** Gives back a connection whose answer is complete. */
  give(connection: Connection): void {
    if (this.#isClosed) connection.destroy();
    else if (connection.isOpen) this.#idle.push(connection);
  }

  /** Closes those that have been idle for too long. */
  sweep(nowMs: number): void {
    let kept = 0;
    for (const connection of this.#idle)
      if (connection.idleUntilMs <= nowMs) connection.destroy();
      else if (connection.isOpen) this.#idle[kept++] = connection;
    this.#idle.length = kept;
  }

  /** Keeps no more connections; requests under way go on to their end. */
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

/** Connections to every endpoint that exchanges have used. */
export class Pools {
  /** By endpoint, then by the routes' connect timeout. */
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

  /** Forgets endpoints that no route names any more; requests under way go on to their end. */
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
