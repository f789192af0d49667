import type { DenseSetMember } from '../../collections/dense-set.js';
import type { Protocol, UpstreamRoute } from '../../config/config.js';
import { clientKey } from '../../request/client-key.js';

/**
 * How a tenancy ended. `closed`: properly by the upstream (a WebSocket by its close frame); `hung-up`: by the
 * upstream's end of TCP alone; `lost`: cut off, or by a violation of the protocol; `destroyed`: by us, which
 * is no fault of the upstream.
 */
export type TenancyEnd = 'closed' | 'hung-up' | 'lost' | 'destroyed';

/** The client that an endpoint is dialled for, a part of `RequestFacts`. */
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

/** An endpoint's record of a connection: its client, since when it is open, and how it ended. */
export class Tenancy implements DenseSetMember {
  denseIndex = -1;
  /** On the endpoint's clock; undefined: not yet. */
  openedMs: number | undefined;
  /**
   * Whether its owner has to end it, even while it is dialled: by `onRemove: close`, or a drain that closes.
   */
  evicted: boolean = false;
  /**
   * Shows whether the client has ended its own protocol (an MQTT DISCONNECT); undefined: the protocol has no
   * such message.
   */
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

  /** No message can pass any more. Called once. */
  ended(end: TenancyEnd): void {
    this.endpoint.tenancyEnded(this, end);
  }
}
