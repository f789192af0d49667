import { createHash } from 'node:crypto';
import { DenseSet } from '../../collections/dense-set.js';
import { hasUpstreams, type Route, type RouteTls, type UpstreamRoute } from '../../config/config.js';
import type { CircuitBreaker, Fault, Permit } from './circuit-breaker.js';
import { DialTurns } from './dial-turns.js';
import { type Landlord, Tenancy, type TenancyEnd, type Tenant } from './tenancy.js';

/** A session that has been open this long clears its upstream's faults (SPEC section 8). */
const STEADY_MS = 5000;

/**
 * The parts of an endpoint's URL, parsed once, as each property of a URL object is computed at every access.
 */
export interface EndpointAddress {
  /** With the port if it is not the scheme's own. */
  readonly host: string;
  /** Without the brackets of an IPv6 address. */
  readonly hostname: string;
  readonly port: number;
  readonly pathname: string;
  /** With its `?`, or ''. */
  readonly search: string;
  /** Over TLS. */
  readonly secure: boolean;
}

/** One upstream URL with its TLS settings: its circuit, and the connections that are open to it. */
export class Endpoint implements Landlord {
  readonly url: URL;
  readonly address: EndpointAddress;
  /** The URL without credentials and query: its name in logs and metrics. */
  readonly name: string;
  /** Bounds the dials under way. */
  dialing = 0;
  /** Whether it is drained: no new client is sent there. */
  drained = false;
  readonly turns: DialTurns;
  readonly #tenants = new DenseSet<Tenancy>();
  /** Those whose WebSocket is being dialled. */
  readonly #arriving = new DenseSet<Tenancy>();

  /** @param url ws:, wss:, http: or https:. */
  constructor(
    url: string,
    readonly tls: RouteTls | undefined,
    readonly breaker: CircuitBreaker,
    readonly nowMs: () => number,
    maxDials: number,
    /** Whether an address that its host's name leads to may be dialled; undefined: any. */
    readonly admits?: (address: string) => boolean,
  ) {
    this.turns = new DialTurns(maxDials);
    this.url = new URL(url);
    this.address = addressOf(this.url);
    this.name = endpointName(this.url);
  }

  /** Live connections. */
  get sessions(): number {
    return this.#tenants.size;
  }

  /** Connections that are live or being dialled. */
  get tenancies(): readonly Tenancy[] {
    return [...this.#tenants, ...this.#arriving];
  }

  /**
   * A tenancy for a connection that is about to be dialled for a route; it is live once `opened` is called.
   */
  tenancy(route: UpstreamRoute, tenant: Tenant): Tenancy {
    return new Tenancy(this, route, tenant);
  }

  /** A WebSocket is being dialled: what ends live connections ends it, too. */
  expect(tenancy: Tenancy): void {
    this.dialing++;
    this.#arriving.add(tenancy);
  }

  /** The dial has succeeded or failed. */
  expected(tenancy: Tenancy): void {
    this.dialing--;
    if (tenancy.openedMs === undefined) this.#arriving.delete(tenancy);
  }

  /** @internal */
  tenancyOpened(tenancy: Tenancy): void {
    this.#arriving.delete(tenancy);
    this.#tenants.add(tenancy);
  }

  /** @internal */
  tenancyEnded(tenancy: Tenancy, end: TenancyEnd): void {
    const { openedMs, protocol, client, farewell } = tenancy;
    if (openedMs === undefined) this.#arriving.delete(tenancy);
    else this.#tenants.delete(tenancy);
    if (end === 'closed') this.breaker.closedProperly();
    else if (openedMs !== undefined) this.breaker.steadyAt(openedMs + STEADY_MS);
    // [MQTT-3.14.4-3]: a server ends the network connection after a DISCONNECT. Brokers do so without a close
    // frame, and after protocol errors of the client, too.
    const isFault = end === 'lost' || (end === 'hung-up' && protocol !== 'mqtt');
    if (!isFault || farewell?.disconnected === true) return;
    this.#lookForSteady('lost', client);
    this.breaker.lost(client);
  }

  /** A dial failed, presumably by the endpoint's fault. */
  dialFailed(permit: Permit, fault: Exclude<Fault, 'lost'>, client: string): void {
    this.#lookForSteady(fault, client);
    this.breaker.failed(permit, fault, client);
  }

  /** No timers: sessions that have become stable since the last fault are looked for at the next fault. */
  #lookForSteady(fault: Fault, client: string): void {
    if (this.breaker.faults === 0 || !this.breaker.counts(fault, client)) return;
    for (const { openedMs } of this.#tenants)
      if (openedMs !== undefined && this.breaker.steadyAt(openedMs + STEADY_MS)) return;
  }
}

function addressOf({ protocol, host, hostname, port, pathname, search }: URL): EndpointAddress {
  const secure = protocol === 'wss:' || protocol === 'https:';
  return {
    host,
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 443 : 80) : Number(port),
    pathname,
    search,
    secure,
  };
}

function endpointName(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** The metrics labels of a table's upstreams, in its order; those of `targets` as they are written there. */
export function upstreamNames(routes: readonly Route[]): readonly string[] {
  return routes.filter(hasUpstreams).flatMap(({ target, upstreams }) => {
    return target === undefined ? upstreams.map((url) => endpointName(new URL(url))) : [target.name];
  });
}

/** Digests by TLS settings, as a bundle of certificate authorities is hundreds of kilobytes long. */
const digests = new WeakMap<RouteTls, string>();

/** Same key, same endpoint: the URL and, as a digest, all of its TLS settings. */
export function endpointKey(url: string, tls: RouteTls | undefined): string {
  if (tls === undefined) return url;
  let digest = digests.get(tls);
  if (digest === undefined) {
    const { ca, cert, key, serverName, insecureSkipVerify } = tls;
    const settings = JSON.stringify([ca, cert, key, serverName, insecureSkipVerify]);
    digest = createHash('sha256').update(settings).digest('base64');
    digests.set(tls, digest);
  }
  return `${url} ${digest}`;
}
