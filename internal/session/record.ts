import { CLOSE_REASONS, type CloseReason } from '../close-codes.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { LiveSession } from './live-session.js';

const AUTH_FAILURES: ReadonlySet<CloseReason> = new Set([
  CLOSE_REASONS.jwtMissing,
  CLOSE_REASONS.jwtMalformed,
  CLOSE_REASONS.jwtInvalid,
  CLOSE_REASONS.tokenRevoked,
  CLOSE_REASONS.authTimeout,
  CLOSE_REASONS.authUnavailable,
]);

const UPSTREAM_FAULTS: ReadonlySet<CloseReason> = new Set([
  CLOSE_REASONS.upstreamLost,
  CLOSE_REASONS.upstreamProtocolError,
  CLOSE_REASONS.upstreamIdle,
  CLOSE_REASONS.upstreamTooSlow,
  CLOSE_REASONS.upstreamUnavailable,
]);

/** Whether a client was turned away for who it is, not for the state of something else: trying again will not help. */
export function isDenial(reason: CloseReason): boolean {
  return reason.client?.code === 1008 && !reason.retry;
}

/**
 * Counts the end of a session and leaves its one log line.
 * @param wasOpen whether it had reached its upstream: before that, ending it for who the client is means refusing it.
 */
export function recordClose(
  { metrics, log }: { readonly metrics: Metrics; readonly log: Log },
  session: LiveSession,
  wasOpen: boolean,
  reason: CloseReason,
  code: number | undefined,
  cause: Error | undefined,
): void {
  const { protocol } = session;
  metrics.sessionClosed.inc({ reason: reason.name });
  if (!wasOpen && AUTH_FAILURES.has(reason)) metrics.authFailures.inc();
  if (UPSTREAM_FAULTS.has(reason) && protocol !== undefined) metrics.proxyErrors.inc({ protocol });
  if (reason === CLOSE_REASONS.circuitOpen && protocol !== undefined) metrics.circuitOpen.inc({ protocol });
  if (reason === CLOSE_REASONS.rateLimited)
    metrics.countRateLimitViolation(session.identity?.sub ?? session.ip);
  const line = { ...session.describe(), reason: reason.name, code, why: cause?.message };
  if (reason === CLOSE_REASONS.internalError) log.error({ ...line, err: cause }, 'session failed');
  else log.info(line, !wasOpen && isDenial(reason) ? 'client denied' : 'session closed');
}
