import type { SessionConfig } from '../config/config.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Admission } from './admission.js';
import type { Arrivals } from './arrivals.js';
import type { Sessions } from './sessions.js';
import type { TimerWheel } from './timer-wheel.js';

/** What all sessions of a process share. */
export interface SessionParts {
  readonly config: SessionConfig;
  readonly admission: Admission;
  readonly sessions: Sessions;
  readonly wheel: TimerWheel;
  /** undefined: nobody waits to be let in. */
  readonly arrivals?: Arrivals;
  readonly metrics: Metrics;
  readonly log: Log;
}
