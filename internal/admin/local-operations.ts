import type { SessionLog } from '../activity/session-log.js';
import type { Bans } from '../auth/bans/bans.js';
import type { Revocations, RevocationTarget } from '../auth/revocations/revocations.js';
import type { RouteTable } from '../config/config.js';
import { problemLine } from '../config/problem.js';
import type { ReloadResult } from '../config/routes/reload.js';
import type { Exchanges } from '../exchange/exchanges.js';
import type { LimitsInForce } from '../ratelimit/limits-in-force.js';
import { isLive } from '../session/closing/revoked-sessions.js';
import type { RenewalOutcome } from '../session/renewal.js';
import type { Sessions } from '../session/sessions.js';
import type { AccessLog } from '../telemetry/log/access-log.js';
import type { RecentRefusals, Refusal } from '../telemetry/log/recent-refusals.js';
import type { Drains } from '../upstream/drains.js';
import type { EndpointSnapshot, Upstreams } from '../upstream/upstreams.js';
import { type ActivityRoutes, type ActivitySessions, activityRoutes, activitySessions } from './activity.js';
import { type BanOrder, type BanPage, type BanQuery, type BanResult, banResult, listBans } from './bans.js';
import type { DrainOrder, DrainResult } from './drains.js';
import { changeLog, type LogOrder, type LogSettings, logSettings } from './log-settings.js';
import type { AdminOperations, ReloadOutcome, RenewalOrder, RevokeResult } from './operations.js';
import type { Page } from './page.js';
import {
  type LimitOrder,
  type LimitsInfo,
  readLimitOrder,
  readLimitRoute,
  showLimits,
} from './rate-limits.js';
import { listRevocations, type RevocationPage, type RevocationQuery } from './revocations.js';
import { type RouteInfo, routeInfo } from './routes.js';
import { listSessions, type SessionInfo, type SessionQuery } from './sessions.js';

/** The parts of one process that the admin API reads and changes. */
export interface LocalParts {
  readonly sessions: Sessions;
  readonly exchanges: Exchanges;
  /** Its subscribers end the sessions of revoked tokens (see `closeRevoked`). */
  readonly revocations: Pick<Revocations, 'revoke' | 'lift' | 'current' | 'unsent'>;
  /** Its subscribers end the sessions of banned subjects (see `closeBanned`). */
  readonly bans: Pick<Bans, 'ban' | 'lift' | 'all'>;
  readonly limits: LimitsInForce;
  /** Its subscribers keep new clients off the endpoint (see `Upstreams.setDrained`). */
  readonly drains: Pick<Drains, 'drain' | 'end'>;
  readonly upstreams: Pick<Upstreams, 'snapshot' | 'resetCircuit' | 'knows'>;
  readonly refusals: Pick<RecentRefusals, 'list'>;
  /** undefined: no activity is recorded. */
  readonly activity: SessionLog | undefined;
  readonly accessLog: AccessLog;
  /** The route table in force. */
  readonly table: () => RouteTable;
  readonly reload: () => Promise<ReloadResult>;
}

/** The admin operations in a single process. */
export class LocalOperations implements AdminOperations {
  readonly #parts: LocalParts;

  constructor(parts: LocalParts) {
    this.#parts = parts;
  }

  async revoke(target: RevocationTarget): Promise<RevokeResult> {
    const { sessions, exchanges, revocations } = this.#parts;
    const all = 'sid' in target ? sessions.ofProviderSession(target.sid) : sessions.ofSubject(target.sub);
    const live = all.filter(isLive);
    // The revocation takes effect here, sessions included, before the store is waited for.
    const before = exchanges.revokedSoFar;
    const told = revocations.revoke(target);
    const closed = live.filter((session) => !isLive(session)).length;
    const sessionsClosed = closed + exchanges.revokedSoFar - before;
    const { propagated } = await told;
    return { sessionsClosed, propagated };
  }

  async liftRevocation(target: RevocationTarget): Promise<boolean | undefined> {
    return (await this.#parts.revocations.lift(target))?.propagated;
  }

  async sessions(query: SessionQuery): Promise<Page<SessionInfo>> {
    return listSessions(this.#parts.sessions, this.#parts.exchanges, query);
  }

  async closeSession(id: string): Promise<boolean> {
    const session = this.#parts.sessions.get(id);
    session?.close('closedByAdmin');
    return session !== undefined || this.#parts.exchanges.cut(id);
  }

  async renewSession({ session: id, sub, issuer, token }: RenewalOrder): Promise<RenewalOutcome> {
    const session = this.#parts.sessions.get(id);
    const identity = session?.identity;
    // Checked here, so that a token of one subject cannot use up the renewals of another one's session.
    if (session === undefined || identity?.sub !== sub || identity.issuer !== issuer)
      return { kind: 'unknown' };
    return session.renew(token);
  }

  async revocations(query: RevocationQuery): Promise<RevocationPage> {
    return listRevocations(this.#parts.revocations, query);
  }

  async unsentRevocations(): Promise<number> {
    return this.#parts.revocations.unsent;
  }

  async ban({ sub, reason, untilMs }: BanOrder): Promise<BanResult> {
    const { ban, persisted } = await this.#parts.bans.ban(sub, reason, untilMs);
    return banResult(ban, persisted);
  }

  async liftBan(sub: string): Promise<boolean> {
    return (await this.#parts.bans.lift(sub)) !== undefined;
  }

  async bans(query: BanQuery): Promise<BanPage> {
    return listBans(this.#parts.bans, query);
  }

  async rateLimits(): Promise<LimitsInfo> {
    return showLimits(this.#parts.table(), this.#parts.limits);
  }

  async setRateLimit(body: Buffer): Promise<{ readonly order: LimitOrder; readonly persisted: boolean }> {
    const order = readLimitOrder(body, this.#parts.table());
    return { order, persisted: await this.#parts.limits.set(order.route, order) };
  }

  async resetRateLimit(
    query: string,
  ): Promise<{ readonly route: string | undefined; readonly persisted: boolean }> {
    const { limits, table } = this.#parts;
    const route = readLimitRoute(query, table(), limits);
    return { route, persisted: await limits.reset(route) };
  }

  activitySessions(query: string): Promise<ActivitySessions> {
    return activitySessions(this.#parts.activity, query);
  }

  activityRoutes(query: string): Promise<ActivityRoutes> {
    return activityRoutes(this.#parts.activity, query);
  }

  async refusals(): Promise<readonly Refusal[]> {
    return this.#parts.refusals.list();
  }

  async resetCircuit(upstream: string): Promise<boolean> {
    return this.#parts.upstreams.resetCircuit(upstream);
  }

  async upstreams(): Promise<readonly EndpointSnapshot[]> {
    return this.#parts.upstreams.snapshot();
  }

  async drain(order: DrainOrder): Promise<DrainResult | undefined> {
    const { drains, upstreams } = this.#parts;
    if (!upstreams.knows(order.upstream)) return undefined;
    return { ...order, persisted: await drains.drain(order.upstream, order.close) };
  }

  endDrain(upstream: string): Promise<boolean | undefined> {
    return this.#parts.drains.end(upstream);
  }

  async routes(): Promise<readonly RouteInfo[]> {
    return this.#parts.table().routes.map(routeInfo);
  }

  async reload(): Promise<ReloadOutcome> {
    const { outcome, problems } = await this.#parts.reload();
    return { outcome, problems: problems.map(problemLine) };
  }

  async log(): Promise<LogSettings> {
    return logSettings(this.#parts.accessLog);
  }

  async changeLog(order: LogOrder): Promise<void> {
    changeLog(this.#parts.accessLog, order);
  }
}
