import type { Arrival } from '../access/arrival.js';
import type { OpeningTrace } from '../telemetry/opening-trace.js';

/** Everything a session needs to know of its opening handshake. */
export interface Opening extends Arrival {
  /** undefined: tracing is off. */
  readonly trace?: OpeningTrace;
}
