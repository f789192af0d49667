import type { DenseSetMember } from '../../collections/dense-set.js';
import type { Protocol, UpstreamRoute } from '../../config/config.js';
import { clientKey } from '../../request/client-key.js';

/**
 * How a tenancy ended, in the eyes of its endpoint: `closed` in good order by the upstream's own word (for a
 * WebSocket its close frame), `hung-up` without one, but properly (TCP was ended), `lost` by being cut off or
 * by a breach of the protocol, `destroyed` by us, which is nothing to hold against the upstream.
 */
export type TenancyEnd = 'closed' | 'hung-up' | 'lost' | 'destroyed';

/** For whom an endpoint is dialled: of `RequestFacts`. */
export interface Tenant {
  readonly protocol: Protocol | 'http';
  readonly identity: { readonly sub: string } | undefined;
  readonly client: { readonly ip: string };
}

/** The endpoint, as its tenancies know it. */
export interface Landlord {
  /** Its name in logs and metrics. */
  readonly name: string;
  readonly nowMs: () => number;
  tenancyOpened(tenancy: Tenancy): void;
  tenancyEnded(tenancy: Tenancy, end: TenancyEnd): void;
}

/** What an endpoint keeps of a live connection: for whom it is there, since when, and how it ended. */
export class Tenancy implements DenseSetMember {
  denseIndex = -1;
  /** On the endpoint's clock; undefined: not yet. */
  openedMs: number | undefined;
  /** Whether its owner is to end it, however far it has come: `onRemove: close`, or a drain that closes. */
  evicted: boolean = false;
  /** Where the client's leave in its protocol's own words shows; undefined: the protocol has none. */
  farewell: { readonly disconnected: boolean } | undefined;
  readonly protocol: Protocol | 'http';
  /** See `clientKey`. */
  readonly client: string;

  /** @param route the one it is dialled for. */
  constructor(
    readonly endpoint: Landlord,
    readonly route: UpstreamRoute,
    { protocol, identity, client }: Tenant,
  ) {
    this.protocol = protocol;
    this.client = clientKey(identity?.sub, client.ip);
  }

  /** The endpoint's name. */
  get name(): string {
    return this.endpoint.name;
  }

  /** From now on the endpoint counts it as live. */
  opened(): void {
    this.endpoint.tenancyOpened(this);
    this.openedMs = this.endpoint.nowMs();
  }

  /** Nothing can go either way any more. Called once. */
  ended(end: TenancyEnd): void {
    this.endpoint.tenancyEnded(this, end);
  }
}
