/** The trace context of a request (W3C Trace Context §3): its two header values, well-formed. */
export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate: string | undefined;
}

/** Version 00: trace id, parent id, flags, and no more (§3.2.2). */
const TRACEPARENT = /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;
/** Later versions begin the same way and may be longer (§4.3); ff is invalid. */
const LATER_TRACEPARENT =
  /^(?!00|ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-[!-~]{0,200})?$/;

/** §3.3.1.5: at least this much has to be passed on; a longer one may be dropped, and is. */
const MAX_TRACESTATE_CHARS = 512;

/**
 * The trace context of a request; undefined: there is none, or it is invalid (§4.3).
 * @param headers by lower-case name, one value for each header line.
 */
export function readTraceContext(headers: ReadonlyMap<string, readonly string[]>): TraceContext | undefined {
  const lines = headers.get('traceparent');
  const traceparent = lines?.[0];
  if (traceparent === undefined || lines?.length !== 1 || !isTraceparent(traceparent)) return undefined;
  const state = headers.get('tracestate')?.join(',');
  return { traceparent, tracestate: state !== undefined && isPassable(state) ? state : undefined };
}

function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text) || LATER_TRACEPARENT.test(text);
}

function isPassable(tracestate: string): boolean {
  return tracestate.length <= MAX_TRACESTATE_CHARS && /^[\t\x20-\x7e]+$/.test(tracestate);
}
