import type { RouteTls, UpstreamRoute } from '../../config/config.js';
import { Balance } from './balance.js';
import type { Destination } from './destination.js';
import { type Endpoint, endpointKey } from './endpoint.js';

/** SPEC section 19. */
const MAX_ENDPOINTS = 10_000;

export type MakeEndpoint = (
  url: string,
  tls: RouteTls | undefined,
  admits?: (address: string) => boolean,
) => Endpoint;

/** Endpoints made on demand for the targets of clients; if there are too many, the idlest is dropped. */
export class MadeEndpoints {
  /** In the order in which they were last dialled. */
  readonly #balances = new Map<string, Balance>();

  /** @param onGone called with an endpoint that is dropped. */
  constructor(
    readonly make: MakeEndpoint,
    readonly onGone: (endpoint: Endpoint) => void,
    readonly limit: number = MAX_ENDPOINTS,
  ) {}

  *[Symbol.iterator](): Iterator<Endpoint> {
    for (const { endpoints } of this.#balances.values()) yield* endpoints;
  }

  of({ tls }: UpstreamRoute, { url, rules, admits }: Destination): Balance {
    const key = `${endpointKey(url, tls)} ${rules}`;
    const balance = this.#balances.get(key) ?? new Balance([this.make(url, tls, admits)], 'round-robin');
    this.#balances.delete(key);
    if (this.#balances.size >= this.limit) this.#dropIdlest();
    this.#balances.set(key, balance);
    return balance;
  }

  /** The endpoint without connections that was dialled longest ago; if all are in use, the first of them. */
  #dropIdlest(): void {
    let found: string | undefined;
    for (const [key, { endpoints }] of this.#balances) {
      found ??= key;
      if (endpoints.some(({ sessions, dialing }) => sessions + dialing > 0)) continue;
      found = key;
      break;
    }
    const gone = found === undefined ? undefined : this.#balances.get(found);
    if (found !== undefined) this.#balances.delete(found);
    for (const endpoint of gone?.endpoints ?? []) this.onGone(endpoint);
  }
}
