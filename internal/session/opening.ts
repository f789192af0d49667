import type { AnnouncedToken } from '../auth/identity/announced-token.js';
import type { RouteMatch, UpstreamRoute } from '../config/config.js';
import type { OpeningTrace } from '../telemetry/opening-trace.js';
import type { TraceContext } from '../telemetry/trace-context.js';

/**
 * What a 101 may select, the likeliest first: what the client offered beside its token, or the name that announced it, as
 * browsers take no 101 that selects none of what they offered.
 */
export function selectable({ subprotocols, announced }: Opening): readonly string[] {
  const name = announced?.name;
  return name === undefined || subprotocols.length > 0 ? subprotocols : [name];
}

/**
 * What a 101 selects where nothing else does: of clients that offered a token, as they wait for something to be selected.
 * @param chosen whether an upstream was asked to choose, and chose none: what it was offered is not selected then.
 */
export function selectedForToken(opening: Opening, chosen: boolean): string | undefined {
  const { announced } = opening;
  if (announced === undefined) return undefined;
  return chosen ? announced.name : selectable(opening)[0];
}

/** An opening handshake that was found good; everything a session needs to know of it. */
export interface Opening {
  /** Percent-decoded once. */
  readonly path: string;
  /** As it came, without its `?`. */
  readonly query: string;
  /** By lower-case name, every line kept. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly client: {
    readonly ip: string;
    readonly proto: 'http' | 'https';
    readonly host: string;
    readonly requestId: string;
    /** Of a trusted peer. */
    readonly traceContext?: TraceContext | undefined;
  };
  /** The routes that fit the path, at least one, in table order. */
  readonly matches: readonly RouteMatch<UpstreamRoute>[];
  /** What Sec-WebSocket-Protocol offered, in order, without what carried a token. */
  readonly subprotocols: readonly string[];
  /** The token among them; undefined: there was none. */
  readonly announced?: AnnouncedToken | undefined;
  /** undefined: tracing is off. */
  readonly trace?: OpeningTrace;
}
