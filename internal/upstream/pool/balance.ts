import type { UpstreamRoute } from '../../config/config.js';
import { GatewayError } from '../../errors.js';
import type { Permit } from './circuit-breaker.js';
import type { Endpoint } from './endpoint.js';
import { Turns } from './turns.js';

/** An endpoint and the leave to dial it. */
export interface Choice {
  readonly endpoint: Endpoint;
  readonly permit: Permit;
}

/** The endpoints of one route, and whose turn it is. */
export class Balance {
  /** Of the endpoints, those that are not drained. */
  #places: readonly number[] = [];
  #turns = new Turns([]);

  /** @param weights of each endpoint its share; empty: they are all alike. */
  constructor(
    readonly endpoints: readonly Endpoint[],
    readonly policy: UpstreamRoute['balance'],
    readonly weights: readonly number[] = [],
  ) {
    this.refresh();
  }

  /** To be called when an endpoint was drained, or is drained no more: the others share what it had. */
  refresh(): void {
    this.#places = this.endpoints.flatMap(({ drained }, at) => (drained ? [] : [at]));
    this.#turns = new Turns(this.#places.map((at) => this.#weight(at)));
  }

  /** Whether any circuit lets a dial through. */
  get available(): boolean {
    return this.endpoints.some(({ breaker }) => breaker.available);
  }

  /**
   * The endpoints in the order in which a dial goes to them, none when all are drained; it asks once, as
   * asking passes the turn on.
   * @param hashKey what `hash:sub` goes by.
   */
  order(hashKey: string): readonly Endpoint[] {
    const { endpoints, policy } = this;
    const [only] = endpoints;
    if (only !== undefined && endpoints.length === 1) return only.drained ? [] : endpoints;
    if (policy === 'hash:sub')
      return this.#sorted(this.#places, (endpoint, at) => -rank(endpoint, hashKey, this.#weight(at)));
    const turns = this.#turns.next().map((turn) => this.#places[turn] ?? 0);
    // The sort is stable: among equals it is still everybody's turn.
    return this.#sorted(
      turns,
      policy === 'least-sessions' ? (endpoint, at) => load(endpoint) / this.#weight(at) : () => 0,
    );
  }

  #weight(at: number): number {
    return this.weights[at] ?? 1;
  }

  /** The endpoints at those places, the least of `measure` first. */
  #sorted(at: readonly number[], measure: (endpoint: Endpoint, at: number) => number): readonly Endpoint[] {
    return at
      .flatMap((place) => {
        const endpoint = this.endpoints[place];
        return endpoint === undefined ? [] : [{ endpoint, measured: measure(endpoint, place) }];
      })
      .sort((one, other) => one.measured - other.measured)
      .map(({ endpoint }) => endpoint);
  }
}

/**
 * The first of `order` whose circuit lets a dial through, those in `tried` left out, and those that have been
 * drained since it was made.
 */
export function choose(order: readonly Endpoint[], tried: ReadonlySet<Endpoint>): Choice | undefined {
  for (const endpoint of order) {
    const permit = tried.has(endpoint) || endpoint.drained ? undefined : endpoint.breaker.acquire();
    if (permit !== undefined) return { endpoint, permit };
  }
  return undefined;
}

/** Why no endpoint may be asked. */
export function nowhere({ prefix }: UpstreamRoute, order: readonly Endpoint[]): GatewayError {
  return order.length === 0
    ? new GatewayError('ERR_UPSTREAM_DRAINED', `every endpoint of ${prefix} is drained`)
    : new GatewayError('ERR_CIRCUIT_OPEN', `every circuit of ${prefix} is open`);
}

/** Dials count too, or all that come at once would choose the same endpoint. */
function load(endpoint: Endpoint): number {
  return endpoint.sessions + endpoint.dialing;
}

/**
 * Weighted rendezvous: every key ranks the endpoints in an order of its own, so that one that goes, comes or
 * changes its weight moves only the keys it had or gets. Ranked by name, in every process and after every
 * reload alike. With equal weights it is the order of the hashes.
 */
function rank(endpoint: Endpoint, key: string, weight: number): number {
  return -weight / Math.log((hashOf(`${endpoint.url.href}\n${key}`) + 0.5) / 0x1_0000_0000);
}

/** FNV-1a, with its bits mixed once more so that keys that differ at the end differ everywhere. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
