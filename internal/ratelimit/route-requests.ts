import type { ClientRules, RequestLimit } from '../config/config.js';
import { addressBlock } from '../request/client-key.js';
import type { LimitsInForce } from './limits-in-force.js';
import { limitNamed, type RequestClient, type RequestLimits } from './request-limits.js';

/** A route whose requests may be limited. */
interface LimitedRoute {
  readonly prefix: string;
  readonly requestLimit: RequestLimit | undefined;
  /** Routes of one prefix, each for some hosts, count for themselves. */
  readonly clients: Pick<ClientRules, 'hosts'>;
}

/** A request that is one too many. */
export interface Excess {
  /** Until the next one may pass. */
  readonly waitMs: number;
  /** For the log: which limit says so, and whose it is. */
  readonly why: string;
}

/** The requests that reach HTTP routes, those included by which WebSockets begin. */
export class RouteRequests {
  constructor(
    readonly limits: Pick<LimitsInForce, 'ofRequests'>,
    readonly requests: Pick<RequestLimits, 'take'>,
  ) {}

  /**
   * Counts one request of a client: of its subject or, where there is none or the route says so, its address.
   * @returns undefined: nothing limits them; resolves with undefined if it may pass.
   */
  take(
    { prefix, requestLimit, clients: { hosts } }: LimitedRoute,
    subject: string | undefined,
    ip: string,
  ): Promise<Excess | undefined> | undefined {
    const limit = this.limits.ofRequests(prefix, requestLimit);
    if (limit === undefined) return undefined;
    const sub = limit.by === 'sub' ? subject : undefined;
    const who: RequestClient =
      sub === undefined ? { kind: 'ip', name: addressBlock(ip) } : { kind: 'sub', name: sub };
    return this.requests
      .take(hosts.length === 0 ? prefix : JSON.stringify([prefix, ...hosts]), limit, who)
      .then((waitMs) => (waitMs === undefined ? undefined : { waitMs, why: limitNamed(prefix, limit, who) }));
  }
}
