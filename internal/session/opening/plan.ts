import type { RouteMatch, UpstreamRoute } from '../../config/config.js';
import type { Greeting, ProtocolAdapter } from '../../protocol/protocol.js';
import type { Opening } from './opening.js';

/** A client's route and credentials, and what it has sent so far. */
export interface Plan {
  readonly opening: Opening;
  readonly match: RouteMatch<UpstreamRoute>;
  readonly adapter: ProtocolAdapter;
  readonly token: string | undefined;
  /** Where the token was found, in words; undefined: there is none. */
  readonly tokenPlace: string | undefined;
  /** The client's first bytes, parsed; undefined: none were awaited. */
  readonly greeting: Greeting | undefined;
  /** The greeting and what followed it in the same frame. */
  readonly first: Buffer;
  /** Whether the message it came in is binary. */
  readonly firstIsBinary: boolean;
  /** The sub-protocols to offer upstream. */
  readonly offer: readonly string[];
}

/** Where a greeting's token is, in words. */
export function tokenPlaceOf(greeting: Greeting, adapter: ProtocolAdapter): string {
  return greeting.tokenPlace ?? adapter.tokenPlace;
}

/**
 * Whether the greeting goes upstream with its token, which may not be the one that was verified, or may be
 * meant for the upstream. If it is removed, the upstream does not get it in a header either (SPEC section
 * 26).
 */
export function keepsToken({ greeting, match: { route }, adapter, tokenPlace }: Plan): boolean {
  if (adapter.protocol === 'mqtt' || route.keepGreetingToken) return true;
  return greeting?.token === undefined || tokenPlace !== tokenPlaceOf(greeting, adapter);
}
