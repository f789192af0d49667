import { isIP } from 'node:net';
import { Pool } from 'undici';
import type { Endpoint } from '../pool/endpoint.js';
import { admittedOnly, lookupBy } from '../socket/admitted-lookup.js';
import type { TlsContexts } from '../socket/tls-contexts.js';

/** Idle connections of ours close before most servers close them; one that says so in Keep-Alive is believed. */
const KEEP_ALIVE_MS = 4_000;

/** Largest head of an answer, in bytes. */
const MAX_HEAD_BYTES = 65_536;

/** Kept-alive connections to one endpoint. */
export class EndpointPool extends Pool {
  #isFresh: boolean = false;

  constructor(origin: string, options: Pool.Options) {
    super(origin, options);
    this.on('connect', () => {
      this.#isFresh = true;
    });
  }

  /** To be asked when a request goes out: whether its connection was made just before, in the same turn. */
  takeFresh(): boolean {
    const isFresh = this.#isFresh;
    this.#isFresh = false;
    return isFresh;
  }
}

/** Kept-alive connections to every endpoint that exchanges have gone to, one request at a time on each. */
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
      pool = this.#open(endpoint, connectMs);
      pools.set(connectMs, pool);
    }
    return pool;
  }

  #open({ address, tls, admits }: Endpoint, connectMs: number): EndpointPool {
    const { host, secure } = address;
    const lookup = admits && { lookup: lookupBy(admittedOnly(admits)) };
    const connect = secure
      ? {
          ...lookup,
          timeout: connectMs,
          secureContext: this.contexts.of(tls),
          rejectUnauthorized: tls?.insecureSkipVerify !== true,
        }
      : { ...lookup, timeout: connectMs };
    return new EndpointPool(`${secure ? 'https' : 'http'}://${host}`, {
      connections: null,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: MAX_HEAD_BYTES,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The exchange watches its own time.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect,
    });
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
    for (const pool of pools?.values() ?? []) void pool.close().catch(() => {});
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
