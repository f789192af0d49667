import { isIP } from 'node:net';
import { buildConnector, type Client } from 'undici';
import type { Endpoint } from '../pool/endpoint.js';
import { admittedOnly, lookupBy } from '../socket/admitted-lookup.js';
import type { TlsContexts } from '../socket/tls-contexts.js';
import { Connection, type Dial } from './connection.js';

/** Idle connections of ours close before most servers close them; one that says so in Keep-Alive is believed. */
const KEEP_ALIVE_MS = 4_000;

/** Largest head of an answer, in bytes. */
const MAX_HEAD_BYTES = 65_536;

const OPTIONS: Client.Options = {
  pipelining: 1,
  allowH2: false,
  maxHeaderSize: MAX_HEAD_BYTES,
  keepAliveTimeout: KEEP_ALIVE_MS,
  // The exchange watches its own time.
  headersTimeout: 0,
  bodyTimeout: 0,
};

/** Kept-alive connections to one endpoint: as many as there are requests under way, and those that are idle. */
export class EndpointPool {
  /** The one that served last at the end: it is the likeliest to be alive, and the others may grow old. */
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  #isClosed: boolean = false;

  constructor(readonly dial: Dial) {}

  /** A connection for one request, to be given back or let go of. */
  take(): Connection {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const connection = new Connection(this.dial, OPTIONS, this.#onLost);
    this.#all.add(connection);
    return connection;
  }

  /** Its request has been answered whole. */
  give(connection: Connection): void {
    if (this.#isClosed || !connection.isConnected) this.drop(connection);
    else this.#idle.push(connection);
  }

  /** Nobody will use it again; what is under way on it ends by itself. */
  drop(connection: Connection): void {
    connection.close().then(
      () => this.#all.delete(connection),
      () => this.#all.delete(connection),
    );
  }

  /** Takes no more; what is under way ends by itself. */
  close(): void {
    this.#isClosed = true;
    for (const connection of this.#idle.splice(0)) this.drop(connection);
  }

  async destroy(): Promise<void> {
    this.#isClosed = true;
    this.#idle.length = 0;
    await Promise.all(Array.from(this.#all, (connection) => connection.destroy()));
    this.#all.clear();
  }

  readonly #onLost = (connection: Connection): void => {
    const at = this.#idle.lastIndexOf(connection);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    this.drop(connection);
  };
}

/** Kept-alive connections to every endpoint that exchanges have gone to. */
export class Pools {
  /** By endpoint, then by the time routes allow for a connection. */
  readonly #pools = new Map<Endpoint, Map<number, EndpointPool>>();

  constructor(readonly contexts: TlsContexts) {}

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
    const { address, tls, admits } = endpoint;
    const { host, secure } = address;
    const lookup = admits && { lookup: lookupBy(admittedOnly(admits)) };
    const connector = buildConnector({
      ...lookup,
      ...(secure
        ? { secureContext: this.contexts.of(tls), rejectUnauthorized: tls?.insecureSkipVerify !== true }
        : {}),
      timeout: connectMs,
    } as buildConnector.BuildOptions);
    return { endpoint, origin: `${secure ? 'https' : 'http'}://${host}`, connectMs, connector };
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
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values()].flatMap((each) => [...each.values()]);
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }
}

/** The name TLS is told (RFC 6066 §3: no address), whatever Host says. */
export function serverNameOf({ address, tls }: Endpoint): string | undefined {
  if (!address.secure) return undefined;
  return tls?.serverName ?? (isIP(address.hostname) === 0 ? address.hostname : undefined);
}
