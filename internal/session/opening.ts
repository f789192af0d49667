import type { RouteMatch, UpstreamRoute } from '../config/config.js';
import type { OpeningTrace } from '../telemetry/opening-trace.js';
import type { TraceContext } from '../telemetry/trace-context.js';

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
  /** What Sec-WebSocket-Protocol offered, in order. */
  readonly subprotocols: readonly string[];
  /** undefined: tracing is off. */
  readonly trace?: OpeningTrace;
}
