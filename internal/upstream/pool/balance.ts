import type { UpstreamRoute } from '../../config/config.js';
import { GatewayError } from '../../errors.js';
import type { Permit } from './circuit-breaker.js';
import type { Endpoint } from './endpoint.js';
import { Turns } from './turns.js';

/** An endpoint and its circuit's permit for a dial. */
export interface Choice {
  readonly endpoint: Endpoint;
  readonly permit: Permit;
}

/** Balances dials over the endpoints of one route. */
export class Balance {
  /** The endpoints that are not drained. */
  #places: readonly number[] = [];
  #turns = new Turns([]);

  /** @param weights the weight of each endpoint; empty: equal. */
  constructor(
    readonly endpoints: readonly Endpoint[],
    readonly policy: UpstreamRoute['balance'],
    readonly weights: readonly number[] = [],
  ) {
    this.refresh();
  }

  /** To be called when a drain begins or ends: the other endpoints share the drained one's part. */
  refresh(): void {
    this.#places = this.endpoints.flatMap(({ drained }, at) => (drained ? [] : [at]));
    this.#turns = new Turns(this.#places.map((at) => this.#weight(at)));
  }

  /** Whether any circuit lets a dial through. */
  get available(): boolean {
    return this.endpoints.some(({ breaker }) => breaker.available);
  }

  /**
   * The endpoints in the order in which one dial tries them; none if all are drained. To be called once a
   * dial, as each call takes a turn.
   * @param hashKey the key of `hash:sub`.
   */
  order(hashKey: string): readonly Endpoint[] {
    const { endpoints, policy } = this;
    const [only] = endpoints;
    if (only !== undefined && endpoints.length === 1) return only.drained ? [] : endpoints;
    if (policy === 'hash:sub')
      return this.#sorted(this.#places, (endpoint, at) => -rank(endpoint, hashKey, this.#weight(at)));
    const turns = this.#turns.next().map((turn) => this.#places[turn] ?? 0);
    // The sort is stable: among equals the turns still alternate.
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
 * The first endpoint of `order` whose circuit allows a dial, without those in `tried` and those drained
 * meanwhile.
 */
export function choose(order: readonly Endpoint[], tried: ReadonlySet<Endpoint>): Choice | undefined {
  for (const endpoint of order) {
    const permit = tried.has(endpoint) || endpoint.drained ? undefined : endpoint.breaker.acquire();
    if (permit !== undefined) return { endpoint, permit };
  }
  return undefined;
}

/** Why no endpoint can be dialled. */
export function nowhere({ prefix }: UpstreamRoute, order: readonly Endpoint[]): GatewayError {
  return order.length === 0
    ? new GatewayError('ERR_UPSTREAM_DRAINED', `every endpoint of ${prefix} is drained`)
    : new GatewayError('ERR_CIRCUIT_OPEN', `every circuit of ${prefix} is open`);
}

/** Dials under way count, too, or all clients that come at once would choose the same endpoint. */
function load(endpoint: Endpoint): number {
  return endpoint.sessions + endpoint.dialing;
}

/**
 * Weighted rendezvous hashing: every key ranks the endpoints in an order of its own, so that an endpoint that
 * is added, removed or weighted anew moves only its own keys. Ranks depend on names only, so they are the
 * same in every process and after every reload. With equal weights it is the order of the hashes.
 */
function rank(endpoint: Endpoint, key: string, weight: number): number {
  return -weight / Math.log((hashOf(`${endpoint.url.href}\n${key}`) + 0.5) / 0x1_0000_0000);
}

/** FNV-1a, with a final mix so that keys which differ in their last characters differ in all bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
