import type { DialTrace } from './dial-trace.js';
import type { TraceContext } from './trace-context.js';

/** What came of an exchange. */
export interface ExchangeEnd {
  /** Of the answer; 0: there was none. */
  readonly status: number;
  /** Code of what kept it from ending well, or the status of an upstream's 5xx; undefined: none. */
  readonly errorType: string | undefined;
  /** Whether the gateway or what is behind it is to blame. */
  readonly failed: boolean;
}

/** The trace of one HTTP exchange, from its head to the end of its answer. */
export interface ExchangeTrace extends DialTrace {
  readonly traceId: string;
  /** The upstream is asked next. @returns where that stands in the trace, for the upstream. */
  ask(): TraceContext;
  /** The head of the upstream's answer has come. */
  answered(status: number): void;
  /** The end of it all. Counts once. */
  end(end: ExchangeEnd): void;
}
