import type { DialTrace } from './dial-trace.js';
import type { TraceContext } from './trace-context.js';

/** How an exchange ended. */
export interface ExchangeEnd {
  /** Status of the answer; 0: there was none. */
  readonly status: number;
  /** Code of the error that ended it, or the status if the upstream answered 5xx; undefined: no error. */
  readonly errorType: string | undefined;
  /** Whether the gateway or an upstream is at fault, and not the client. */
  readonly failed: boolean;
}

/** The trace of one HTTP exchange, from its head to the end of its answer. */
export interface ExchangeTrace extends DialTrace {
  readonly traceId: string;
  /** Begins the request to the upstream. @returns the trace context to send with it. */
  ask(): TraceContext;
  /** The head of the upstream's answer has come. */
  answered(status: number): void;
  /** Ends the trace; only the first call counts. */
  end(end: ExchangeEnd): void;
}
