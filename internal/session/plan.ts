import type { RouteMatch, UpstreamRoute } from '../config/config.js';
import type { Greeting, ProtocolAdapter } from '../protocol/protocol.js';
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
