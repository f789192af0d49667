import type { RouteMatch, UpstreamRoute } from '../../config/config.js';
import type { Greeting, ProtocolAdapter } from '../../protocol/protocol.js';
import type { Opening } from './opening.js';

/** Where a client is to be taken, and what it shows for it. */
export interface Plan {
  readonly opening: Opening;
  readonly match: RouteMatch<UpstreamRoute>;
  readonly adapter: ProtocolAdapter;
  readonly token: string | undefined;
  /** Where the token was, for people; undefined: there is none. */
  readonly tokenPlace: string | undefined;
  /** What the client said first; undefined: nothing was waited for. */
  readonly greeting: Greeting | undefined;
  /** The greeting and what followed it in the same frame. */
  readonly first: Buffer;
  /** The type of the message it came in. */
  readonly firstIsBinary: boolean;
  /** The sub-protocols to offer upstream. */
  readonly offer: readonly string[];
}

/** Where a greeting's token is, for people. */
export function tokenPlaceOf(greeting: Greeting, adapter: ProtocolAdapter): string {
  return greeting.tokenPlace ?? adapter.tokenPlace;
}

/**
 * Whether the greeting goes upstream with the token in it, which may not be the one that counted, or not
 * ours. Where it is taken out, the upstream does not get it as a header either (SPEC section 26).
 */
export function keepsToken({ greeting, match: { route }, adapter, tokenPlace }: Plan): boolean {
  if (adapter.protocol === 'mqtt' || route.keepGreetingToken) return true;
  return greeting?.token === undefined || tokenPlace !== tokenPlaceOf(greeting, adapter);
}
