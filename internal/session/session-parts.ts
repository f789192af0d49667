import type { EndedSession } from '../activity/session-log.js';
import type { SessionConfig } from '../config/config.js';
import type { AccessLog } from '../telemetry/log/access-log.js';
import type { Log } from '../telemetry/log/log.js';
import type { RecentRefusals } from '../telemetry/log/recent-refusals.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import type { Admission } from './opening/admission.js';
import type { Arrivals } from './opening/arrivals.js';
import type { RoutesNow } from './routes-now.js';
import type { Sessions } from './sessions.js';
import type { TimerWheel } from './timer-wheel.js';

/** What all sessions of a process share. */
export interface SessionParts {
  readonly config: SessionConfig;
  readonly admission: Admission;
  readonly sessions: Sessions;
  readonly wheel: TimerWheel;
  /** The table in effect, of which those who came under an earlier one ask. */
  readonly routes: RoutesNow;
  /** undefined: handshakes are not limited. */
  readonly arrivals?: Arrivals;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Log lines about clients. */
  readonly accessLog: AccessLog;
  readonly refusals: RecentRefusals;
  /** Keeps ended sessions; undefined: they are not kept. */
  readonly history: { ended(session: EndedSession): void } | undefined;
}
