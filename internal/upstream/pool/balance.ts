import type { UpstreamRoute } from '../../config/config.js';
import type { Permit } from './circuit-breaker.js';
import type { Endpoint } from './endpoint.js';

/** An endpoint and the leave to dial it. */
export interface Choice {
  readonly endpoint: Endpoint;
  readonly permit: Permit;
}

/** The endpoints of one route, and whose turn it is. */
export class Balance {
  #turn = 0;

  constructor(
    readonly endpoints: readonly Endpoint[],
    readonly policy: UpstreamRoute['balance'],
  ) {}

  /** Whether any circuit lets a dial through. */
  get available(): boolean {
    return this.endpoints.some(({ breaker }) => breaker.available);
  }

  /**
   * The endpoints in the order in which a dial goes to them; it asks once, as asking passes the turn on.
   * @param hashKey what `hash:sub` goes by.
   */
  order(hashKey: string): readonly Endpoint[] {
    if (this.endpoints.length === 1) return this.endpoints;
    if (this.policy === 'hash:sub') return byRendezvous(this.endpoints, hashKey);
    const turn = this.#turn++ % this.endpoints.length;
    const rotated = [...this.endpoints.slice(turn), ...this.endpoints.slice(0, turn)];
    // The sort is stable: among equals it is still everybody's turn.
    return this.policy === 'least-sessions' ? rotated.sort((one, other) => load(one) - load(other)) : rotated;
  }
}

/** The first of `order` whose circuit lets a dial through, those in `tried` left out. */
export function choose(order: readonly Endpoint[], tried: ReadonlySet<Endpoint>): Choice | undefined {
  for (const endpoint of order) {
    const permit = tried.has(endpoint) ? undefined : endpoint.breaker.acquire();
    if (permit !== undefined) return { endpoint, permit };
  }
  return undefined;
}

/** Dials count too, or all that come at once would choose the same endpoint. */
function load(endpoint: Endpoint): number {
  return endpoint.sessions + endpoint.dialing;
}

/**
 * Highest random weight: every key ranks the endpoints in an order of its own, so that one that goes or comes moves only
 * the keys it had or gets. Ranked by name, in every process and after every reload alike.
 */
function byRendezvous(endpoints: readonly Endpoint[], key: string): Endpoint[] {
  return endpoints
    .map((endpoint) => ({ endpoint, weight: weightOf(`${endpoint.url.href}\n${key}`) }))
    .sort((one, other) => other.weight - one.weight)
    .map(({ endpoint }) => endpoint);
}

/** FNV-1a, with its bits mixed once more so that keys that differ at the end differ everywhere. */
function weightOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
