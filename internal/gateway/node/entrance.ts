import type { ConnectionLimit } from '../../ratelimit/connection-limit.js';
import type { TrustedProxies } from '../../request/forwarded.js';

/**
 * Counts sockets of every kind from accept to close (SPEC section 4a): all of them against
 * MAX_CONNECTIONS, and those of peers that are no trusted proxies against MAX_CONNECTIONS_PER_IP; behind
 * a proxy are many clients.
 */
export class Entrance {
  #size = 0;

  /** @param maxConnections 0: no limit. */
  constructor(
    readonly maxConnections: number,
    readonly perIp: ConnectionLimit,
    readonly proxies: TrustedProxies,
  ) {}

  /** Sockets that are open. */
  get size(): number {
    return this.#size;
  }

  /**
   * Counts one more socket.
   * @param peer its address, in canonical form.
   * @returns undefined; if it is one too many, the limit that says so, for the log, and nothing is counted.
   */
  tryEnter(peer: string): string | undefined {
    if (this.maxConnections > 0 && this.#size >= this.maxConnections)
      return `MAX_CONNECTIONS: ${this.maxConnections} sockets`;
    const { perIp } = this;
    if (this.counts(peer) && !perIp.tryEnter(peer))
      return `MAX_CONNECTIONS_PER_IP: ${perIp.limit} of ${perIp.keyOf(peer)}`;
    this.#size++;
    return undefined;
  }

  /** Undoes one `tryEnter` that counted. */
  leave(peer: string): void {
    this.#size--;
    if (this.counts(peer)) this.perIp.leave(peer);
  }

  /**
   * Whether a peer's sockets count for its address: not those of a proxy, whose clients count
   * by the addresses it names.
   */
  counts(peer: string): boolean {
    return this.perIp.limit > 0 && !this.proxies.trusts(peer);
  }
}
