import type { RevocationTarget } from '../auth/revocations/revocations.js';
import type { RenewalOutcome } from '../session/renewal.js';
import type { Refusal } from '../telemetry/log/recent-refusals.js';
import type { EndpointSnapshot } from '../upstream/upstreams.js';
import type { ActivityRoutes, ActivitySessions } from './activity.js';
import type { BanOrder, BanPage, BanQuery, BanResult } from './bans.js';
import type { DrainOrder, DrainResult } from './drains.js';
import type { LogOrder, LogSettings } from './log-settings.js';
import type { Page } from './page.js';
import type { LimitOrder, LimitsInfo } from './rate-limits.js';
import type { RevocationPage, RevocationQuery } from './revocations.js';
import type { RouteInfo } from './routes.js';
import type { SessionInfo, SessionQuery } from './sessions.js';

export interface RevokeResult {
  /** Sessions of this host that the call ended. */
  readonly sessionsClosed: number;
  /** false: the store could not be reached; it will be told later. */
  readonly propagated: boolean;
}

/** A new token for a live session; the token has been verified once. */
export interface RenewalOrder {
  /** The session's id. */
  readonly session: string;
  readonly sub: string;
  readonly issuer: string;
  /** The session verifies it again, by the rules of its route. */
  readonly token: string;
}

export interface ReloadOutcome {
  readonly outcome: 'changed' | 'unchanged' | 'rejected';
  /** One line each; empty unless rejected. */
  readonly problems: readonly string[];
}

/**
 * The operations of the admin API. Arguments and results are plain data, so that they can be sent between the
 * processes of a host.
 */
export interface AdminOperations {
  /** Takes effect in this process before the first await. */
  revoke(target: RevocationTarget): Promise<RevokeResult>;
  /** @returns whether the store was told, if there is one; undefined: the target is not revoked. */
  liftRevocation(target: RevocationTarget): Promise<boolean | undefined>;
  sessions(query: SessionQuery): Promise<Page<SessionInfo>>;
  /** @returns false when there is no such session. */
  closeSession(id: string): Promise<boolean>;
  /** Answers `unknown` for another subject's session, too, so as not to reveal it. */
  renewSession(order: RenewalOrder): Promise<RenewalOutcome>;
  revocations(query: RevocationQuery): Promise<RevocationPage>;
  /** Revocations that the store has yet to be told. */
  unsentRevocations(): Promise<number>;
  /** Bans a subject; takes effect in this process before the first await. */
  ban(order: BanOrder): Promise<BanResult>;
  /** @returns false when the subject is not banned. */
  liftBan(sub: string): Promise<boolean>;
  bans(query: BanQuery): Promise<BanPage>;
  rateLimits(): Promise<LimitsInfo>;
  /**
   * Sets a limit from the body of a request.
   * @returns the limit, and whether it has been written to a store.
   * @throws AdminRefusal 400
   */
  setRateLimit(body: Buffer): Promise<{ readonly order: LimitOrder; readonly persisted: boolean }>;
  /**
   * Goes back to the configured limit of the route that the query names.
   * @throws AdminRefusal 400
   */
  resetRateLimit(query: string): Promise<{ readonly route: string | undefined; readonly persisted: boolean }>;
  /** @throws AdminRefusal 400, 404, 503; likewise below. */
  activitySessions(query: string): Promise<ActivitySessions>;
  activityRoutes(query: string): Promise<ActivityRoutes>;
  /** The most recent refusals, the latest first. */
  refusals(): Promise<readonly Refusal[]>;
  /** @returns false when there is no such endpoint. */
  resetCircuit(upstream: string): Promise<boolean>;
  upstreams(): Promise<readonly EndpointSnapshot[]>;
  /** Keeps new clients off an endpoint. @returns undefined: there is none of that name. */
  drain(order: DrainOrder): Promise<DrainResult | undefined>;
  /** Ends the drain. @returns whether that has been written to a store; undefined: it is not drained. */
  endDrain(upstream: string): Promise<boolean | undefined>;
  routes(): Promise<readonly RouteInfo[]>;
  reload(): Promise<ReloadOutcome>;
  log(): Promise<LogSettings>;
  /** On this host, until the gateway is started again. */
  changeLog(order: LogOrder): Promise<void>;
}
