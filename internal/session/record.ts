import { CLOSE_REASONS, type CloseReason } from '../close-codes.js';
import { headerText } from '../request/header-text.js';
import type { AccessLog } from '../telemetry/log/access-log.js';
import { forLog } from '../telemetry/log/log.js';
import type { LiveSession } from './live-session.js';
import type { Opening } from './opening/opening.js';
import { givenRequestId } from './request-id.js';
import type { SessionParts } from './session-parts.js';
import { openingOf, type SessionState } from './session-state.js';
import type { TrafficCounts } from './traffic.js';

const AUTH_FAILURES: ReadonlySet<CloseReason> = new Set([
  CLOSE_REASONS.jwtMissing,
  CLOSE_REASONS.identityMissing,
  CLOSE_REASONS.jwtMalformed,
  CLOSE_REASONS.jwtInvalid,
  CLOSE_REASONS.tokenRevoked,
  CLOSE_REASONS.tokenUsed,
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

/**
 * Whether a client was refused for its token or its rights, so that trying again with the same token does not
 * help.
 */
export function isDenial(reason: CloseReason): boolean {
  // After this the client needs another token.
  if (reason === CLOSE_REASONS.tokenExpired) return true;
  return reason.client?.code === 1008 && !reason.retry;
}

const ENDED_BY_CLIENT: ReadonlySet<CloseReason> = new Set([
  CLOSE_REASONS.clientClosed,
  CLOSE_REASONS.clientLost,
  CLOSE_REASONS.mqttDisconnect,
]);
/** Ends that LOG_ACCESS=errors does not log. */
const ENDS_WELL: ReadonlySet<CloseReason> = new Set([
  ...ENDED_BY_CLIENT,
  CLOSE_REASONS.upstreamClosed,
  CLOSE_REASONS.tokenExpired,
  CLOSE_REASONS.shutdown,
]);
const ENDED_BY_UPSTREAM: ReadonlySet<CloseReason> = new Set([
  CLOSE_REASONS.upstreamClosed,
  CLOSE_REASONS.upstreamLost,
]);

/** For a line that is never left out, however many there are. */
const ALWAYS = { unlogged: undefined };

/** 1011 to 1014: the gateway itself or what is behind it (RFC 6455 §7.4.1 and its registry). */
function isFailure({ client }: CloseReason): boolean {
  return client !== undefined && client.code >= 1011 && client.code <= 1014;
}

/** Logs a client that was admitted, before its upstream is dialled. */
export function recordAccepted(
  { accessLog }: { readonly accessLog: AccessLog },
  session: LiveSession,
  opening: Opening,
): void {
  if (!accessLog.wants(false)) return;
  const userAgent = opening.headers.get('user-agent')?.[0];
  // Written out, here and below: objects put together by spreading cost pino several times as much.
  accessLog.log.info(
    {
      session: session.id,
      requestId: givenRequestId(session),
      ip: session.ip,
      protocol: session.protocol,
      sub: session.identity && forLog(session.identity.sub),
      route: session.route?.prefix,
      tokenAgeSeconds: tokenAgeSeconds(session),
      userAgent: userAgent && forLog(headerText(userAgent)),
      traceId: opening.trace?.traceId,
    },
    'client accepted',
  );
}

/** A client did not get its turn among MAX_HANDSHAKES_PER_SECOND: its handshake was answered 503. */
export function recordTurnedAway(
  {
    metrics,
    accessLog,
    arrivals,
    refusals,
  }: Pick<SessionParts, 'metrics' | 'accessLog' | 'arrivals' | 'refusals'>,
  session: Pick<LiveSession, 'id' | 'ip' | 'requestId'>,
  { matches, trace, path }: Pick<Opening, 'matches' | 'trace' | 'path'>,
): void {
  const [match] = matches;
  const why = 'MAX_HANDSHAKES_PER_SECOND';
  metrics.sessions.handshakesRefused.inc({ status: 503 });
  metrics.sessions.refused.inc({ status: '503', route: metrics.routeLabel(match?.route) });
  trace?.end({
    outcome: 'turned_away',
    failed: false,
    closeCode: undefined,
    route: match?.route.prefix,
    protocol: undefined,
  });
  refusals.add({
    atMs: Date.now(),
    session: session.id,
    protocol: undefined,
    ip: session.ip,
    answer: 503,
    reason: 'service unavailable',
    why,
    path,
    route: match?.route.prefix,
    sub: undefined,
  });
  const allowed = accessLog.wants(true) ? arrivals?.lines.take() : undefined;
  if (allowed === undefined) return;
  accessLog.log.info(
    {
      session: session.id,
      requestId: givenRequestId(session),
      ip: session.ip,
      status: 503,
      route: match?.route.prefix,
      why,
      ...allowed,
    },
    'handshake refused',
  );
}

/** The session has reached its upstream: its opening is over. */
export function recordOpen({ route, protocol }: LiveSession, { trace }: Opening): void {
  trace?.end({ outcome: 'open', failed: false, closeCode: undefined, route: route?.prefix, protocol });
}

/**
 * Counts the end of a session and logs it in one line; of clients that were never admitted only some are
 * logged.
 * @param state the state that it ends in; if not `open`, the client was refused.
 * @param code the close code sent to the client, which its protocol may have chosen; undefined: none.
 */
export function recordClose(
  parts: Pick<SessionParts, 'metrics' | 'accessLog' | 'sessions' | 'refusals' | 'history'>,
  session: LiveSession,
  state: SessionState,
  reason: CloseReason,
  code: number | undefined,
  cause: Error | undefined,
): void {
  const { metrics, accessLog, sessions } = parts;
  const { protocol, acceptedMs } = session;
  const wasOpen = state.name === 'open';
  const route = metrics.routeLabel(session.route);
  const traffic = wasOpen ? sessions.traffic.ended(state.pump, route) : undefined;
  metrics.sessions.closed.inc({ reason: reason.name, route });
  if (!wasOpen && AUTH_FAILURES.has(reason)) metrics.auth.failures.inc();
  if (UPSTREAM_FAULTS.has(reason) && protocol !== undefined) metrics.upstreams.errors.inc({ protocol });
  if (reason === CLOSE_REASONS.circuitOpen && protocol !== undefined)
    metrics.upstreams.circuitOpen.inc({ protocol });
  if (reason === CLOSE_REASONS.rateLimited)
    metrics.countRateLimitViolation(session.identity?.sub ?? session.ip);
  const trace = openingOf(state)?.trace;
  trace?.end({
    outcome: reason.name,
    failed: isFailure(reason),
    closeCode: code,
    route: session.route?.prefix,
    protocol,
  });
  remember(parts, session, state, reason, code, cause?.message, traffic);
  const isFault = reason === CLOSE_REASONS.internalError;
  if (!isFault && !accessLog.wants(!ENDS_WELL.has(reason))) return;
  const isStranger = !wasOpen && session.identity === undefined;
  const allowed = isStranger && !isFault ? sessions.strangersLines.take() : ALWAYS;
  if (allowed === undefined) return;
  const line = {
    session: session.id,
    requestId: givenRequestId(session),
    ip: session.ip,
    protocol,
    sub: session.identity && forLog(session.identity.sub),
    route: session.route?.prefix,
    closedBy: ENDED_BY_CLIENT.has(reason) ? 'client' : ENDED_BY_UPSTREAM.has(reason) ? 'upstream' : 'gateway',
    reason: reason.name,
    code,
    why:
      cause?.message ??
      (wasOpen && reason === CLOSE_REASONS.rateLimited ? state.pump.limitExceeded : undefined),
    durationMs: acceptedMs && Math.round(performance.now() - acceptedMs),
    tokenAgeSeconds: tokenAgeSeconds(session),
    upstream: wasOpen ? state.pump.upstream.tenancy.name : undefined,
    messagesToUpstream: traffic?.messagesToUpstream,
    bytesToUpstream: traffic?.bytesToUpstream,
    messagesToClient: traffic?.messagesToClient,
    bytesToClient: traffic?.bytesToClient,
    traceId: trace?.traceId,
    unlogged: allowed.unlogged,
  };
  if (isFault) accessLog.log.error({ ...line, err: cause }, 'session failed');
  else accessLog.log.info(line, !wasOpen && isDenial(reason) ? 'client denied' : 'session closed');
}

/** A closing session that was counted already is cut off, as its client may not receive the rest any more. */
export function recordCutShort(
  { accessLog }: Pick<SessionParts, 'accessLog'>,
  session: LiveSession,
  reason: CloseReason,
): void {
  if (!accessLog.wants(true)) return;
  const line = { session: session.id, requestId: givenRequestId(session), reason: reason.name };
  accessLog.log.info(line, 'closing session cut short');
}

/** Keeps for the admin API: refused clients, and what passed in an ended session. */
function remember(
  { refusals, history }: Pick<SessionParts, 'refusals' | 'history'>,
  session: LiveSession,
  state: SessionState,
  reason: CloseReason,
  code: number | undefined,
  why: string | undefined,
  traffic: TrafficCounts | undefined,
): void {
  const nowMs = Date.now();
  const { id, ip, route, protocol, identity, acceptedMs } = session;
  const isRefusal = state.name !== 'open' && reason.client !== undefined && reason !== CLOSE_REASONS.shutdown;
  if (isRefusal && code !== undefined)
    refusals.add({
      atMs: nowMs,
      session: id,
      protocol,
      ip,
      answer: code,
      reason: reason.name,
      why,
      path: openingOf(state)?.path,
      route: route?.prefix,
      sub: identity?.sub,
    });
  if (state.name !== 'open') return;
  history?.ended({
    id,
    sub: identity?.sub,
    protocol,
    route: route?.prefix,
    openedMs: acceptedMs === undefined ? nowMs : performance.timeOrigin + acceptedMs,
    closedMs: nowMs,
    reason: reason.name,
    messagesIn: traffic?.messagesToUpstream ?? 0,
    bytesIn: traffic?.bytesToUpstream ?? 0,
    messagesOut: traffic?.messagesToClient ?? 0,
    bytesOut: traffic?.bytesToClient ?? 0,
  });
}

/** Age of the token at the 101, or now without one; undefined: it has no `iat`. */
function tokenAgeSeconds({ identity, acceptedMs }: LiveSession): number | undefined {
  if (identity?.iat === undefined) return undefined;
  const sinceAcceptedMs = acceptedMs === undefined ? 0 : performance.now() - acceptedMs;
  return Math.round((Date.now() - sinceAcceptedMs) / 1000 - identity.iat);
}
