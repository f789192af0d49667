import { routeName, type UpstreamRoute } from '../../config/config.js';
import { Balance } from './balance.js';
import type { Destination } from './destination.js';
import { type Endpoint, endpointKey } from './endpoint.js';
import { MadeEndpoints, type MakeEndpoint } from './made-endpoints.js';
import type { Tenancy } from './tenancy.js';

/**
 * The endpoints of the current table. One that stays over a reload, with the same URL and TLS settings, keeps
 * its circuit and its connections; routes that name the same one share it.
 */
export class Endpoints {
  #current = new Map<string, Endpoint>();
  #routes: readonly UpstreamRoute[] = [];
  readonly #balances = new WeakMap<UpstreamRoute, Balance>();
  readonly #create: MakeEndpoint;
  readonly #made: MadeEndpoints;

  /** @param onGone called with an endpoint of a target that is not used any more. */
  constructor(create: MakeEndpoint, onGone: (endpoint: Endpoint) => void = () => {}) {
    this.#create = create;
    this.#made = new MadeEndpoints(create, onGone);
  }

  /** Those of the table, and those made for targets. */
  get all(): Iterable<Endpoint> {
    return [...this.#current.values(), ...this.#made];
  }

  /** Those of the table. */
  get named(): Iterable<Endpoint> {
    return this.#current.values();
  }

  /**
   * Takes over a table.
   * @returns the tenancies whose route has lost their endpoint and says `onRemove: close`; of a route that is
   *   still there the new settings count.
   */
  apply(routes: readonly UpstreamRoute[]): ReadonlySet<Tenancy> {
    const before = this.#current;
    const after = new Map<string, Endpoint>();
    for (const route of routes) {
      const endpoints = route.upstreams.map((url) => {
        const key = endpointKey(new URL(url).href, route.tls);
        const endpoint = after.get(key) ?? before.get(key) ?? this.#create(url, route.tls);
        after.set(key, endpoint);
        return endpoint;
      });
      this.#balances.set(route, balanceOf(route, endpoints));
    }
    this.#current = after;
    this.#routes = routes;
    return this.#orphans([...before.values(), ...this.#made], routes);
  }

  /**
   * The balance of a route's endpoints; a route of an earlier table keeps its own.
   * @param destination on a route with a `target`: where this client goes.
   */
  of(route: UpstreamRoute, destination?: Destination): Balance {
    if (destination !== undefined) return this.#made.of(route, destination);
    const known = this.#balances.get(route);
    if (known !== undefined) return known;
    const balance = balanceOf(
      route,
      route.upstreams.map((url) => {
        return this.#current.get(endpointKey(new URL(url).href, route.tls)) ?? this.#create(url, route.tls);
      }),
    );
    this.#balances.set(route, balance);
    return balance;
  }

  /**
   * Starts or ends the drain of the endpoints of that name.
   * @returns their present tenancies.
   */
  setDrained(name: string, drained: boolean): ReadonlySet<Tenancy> {
    const named = [...this.all].filter((endpoint) => endpoint.name === name);
    for (const endpoint of named) endpoint.drained = drained;
    for (const route of this.#routes) this.#balances.get(route)?.refresh();
    return new Set(named.flatMap(({ tenancies }) => tenancies));
  }

  #orphans(endpoints: Iterable<Endpoint>, routes: readonly UpstreamRoute[]): ReadonlySet<Tenancy> {
    const orphans = new Set<Tenancy>();
    const successors = new Map(routes.map((route) => [routeName(route), route]));
    for (const endpoint of endpoints) {
      for (const tenancy of endpoint.tenancies) {
        const { route } = tenancy;
        const successor = successors.get(routeName(route));
        const stays =
          successor !== undefined &&
          (route.target === undefined
            ? this.of(successor).endpoints.includes(endpoint)
            : successor.target?.name === route.target.name);
        if (!stays && (successor ?? route).onRemove === 'close') orphans.add(tenancy);
      }
    }
    return orphans;
  }
}

/** One that is named twice counts once, with the weight that comes first. */
function balanceOf({ balance, weights }: UpstreamRoute, endpoints: readonly Endpoint[]): Balance {
  const weighted = new Map<Endpoint, number>();
  for (const [at, endpoint] of endpoints.entries())
    if (!weighted.has(endpoint)) weighted.set(endpoint, weights[at] ?? 1);
  return new Balance([...weighted.keys()], balance, [...weighted.values()]);
}
