import type { ActivityRoutes, ActivitySessions } from '../admin/activity.js';
import type { BanOrder, BanPage, BanQuery, BanResult } from '../admin/bans.js';
import type { DrainOrder, DrainResult } from '../admin/drains.js';
import type { LocalOperations } from '../admin/local-operations.js';
import type { LogOrder, LogSettings } from '../admin/log-settings.js';
import type { AdminOperations, ReloadOutcome, RenewalOrder, RevokeResult } from '../admin/operations.js';
import type { Page } from '../admin/page.js';
import type { LimitOrder, LimitsInfo } from '../admin/rate-limits.js';
import type { RevocationPage, RevocationQuery } from '../admin/revocations.js';
import type { RouteInfo } from '../admin/routes.js';
import type { SessionInfo, SessionQuery } from '../admin/sessions.js';
import { type RevocationTarget, revocationOf } from '../auth/revocations/revocations.js';
import type { RenewalOutcome } from '../session/renewal.js';
import { MAX_REFUSALS, type Refusal } from '../telemetry/log/recent-refusals.js';
import type { EndpointSnapshot } from '../upstream/upstreams.js';
import type { Siblings } from './siblings.js';

/** The admin operations on all workers of this host, whichever worker gets the request. */
export class HostOperations implements AdminOperations {
  readonly #local: LocalOperations;
  readonly #siblings: Siblings;
  readonly #revocationTtlMs: number;

  constructor(local: LocalOperations, siblings: Siblings, revocationTtlMs: number) {
    this.#local = local;
    this.#siblings = siblings;
    this.#revocationTtlMs = revocationTtlMs;
  }

  async revoke(target: RevocationTarget): Promise<RevokeResult> {
    const nowMs = Date.now();
    const elsewhere = this.#siblings.revoke(revocationOf(target, nowMs, nowMs + this.#revocationTtlMs));
    const { sessionsClosed, propagated } = await this.#local.revoke(target);
    return { sessionsClosed: sessionsClosed + (await elsewhere), propagated };
  }

  /** The other workers hear of it as of any revocation. */
  liftRevocation(target: RevocationTarget): Promise<boolean | undefined> {
    return this.#local.liftRevocation(target);
  }

  async sessions(query: SessionQuery): Promise<Page<SessionInfo>> {
    const pages = [await this.#local.sessions(query), ...(await this.#siblings.ask('sessions', [query]))];
    const items = pages.flatMap((page) => page.items).sort((a, b) => (a.id < b.id ? -1 : 1));
    const more = items.length > query.limit || pages.some((page) => page.more);
    return { items: items.slice(0, query.limit), more };
  }

  async closeSession(id: string): Promise<boolean> {
    if (await this.#local.closeSession(id)) return true;
    return (await this.#siblings.ask('closeSession', [id])).includes(true);
  }

  async renewSession(order: RenewalOrder): Promise<RenewalOutcome> {
    const here = await this.#local.renewSession(order);
    if (here.kind !== 'unknown') return here;
    const elsewhere = await this.#siblings.ask('renewSession', [order]);
    return elsewhere.find(({ kind }) => kind !== 'unknown') ?? here;
  }

  /** Every worker knows them all. */
  revocations(query: RevocationQuery): Promise<RevocationPage> {
    return this.#local.revocations(query);
  }

  async unsentRevocations(): Promise<number> {
    const others = await this.#siblings.ask('unsentRevocations', []);
    return others.reduce((sum, unsent) => sum + unsent, await this.#local.unsentRevocations());
  }

  /** The other workers hear of it as of any record. */
  ban(order: BanOrder): Promise<BanResult> {
    return this.#local.ban(order);
  }

  liftBan(sub: string): Promise<boolean> {
    return this.#local.liftBan(sub);
  }

  /** Every worker knows them all. */
  bans(query: BanQuery): Promise<BanPage> {
    return this.#local.bans(query);
  }

  /** As bans: every worker knows them. */
  rateLimits(): Promise<LimitsInfo> {
    return this.#local.rateLimits();
  }

  setRateLimit(body: Buffer): Promise<{ readonly order: LimitOrder; readonly persisted: boolean }> {
    return this.#local.setRateLimit(body);
  }

  resetRateLimit(
    query: string,
  ): Promise<{ readonly route: string | undefined; readonly persisted: boolean }> {
    return this.#local.resetRateLimit(query);
  }

  /** All workers write into one table. */
  activitySessions(query: string): Promise<ActivitySessions> {
    return this.#local.activitySessions(query);
  }

  activityRoutes(query: string): Promise<ActivityRoutes> {
    return this.#local.activityRoutes(query);
  }

  async refusals(): Promise<readonly Refusal[]> {
    const lists = [await this.#local.refusals(), ...(await this.#siblings.ask('refusals', []))];
    return lists
      .flat()
      .sort((a, b) => b.atMs - a.atMs)
      .slice(0, MAX_REFUSALS);
  }

  async resetCircuit(upstream: string): Promise<boolean> {
    const here = await this.#local.resetCircuit(upstream);
    return (await this.#siblings.ask('resetCircuit', [upstream])).includes(true) || here;
  }

  async upstreams(): Promise<readonly EndpointSnapshot[]> {
    return mergeEndpoints([await this.#local.upstreams(), ...(await this.#siblings.ask('upstreams', []))]);
  }

  /** The other workers hear of it as of any record. */
  drain(order: DrainOrder): Promise<DrainResult | undefined> {
    return this.#local.drain(order);
  }

  endDrain(upstream: string): Promise<boolean | undefined> {
    return this.#local.endDrain(upstream);
  }

  /** Every worker has the same. */
  routes(): Promise<readonly RouteInfo[]> {
    return this.#local.routes();
  }

  /** There is one routes file, and the supervisor follows it. */
  reload(): Promise<ReloadOutcome> {
    return this.#local.reload();
  }

  /** Every worker has the same. */
  log(): Promise<LogSettings> {
    return this.#local.log();
  }

  async changeLog(order: LogOrder): Promise<void> {
    await Promise.all([this.#local.changeLog(order), this.#siblings.changeLog(order)]);
  }
}

const SEVERITY: readonly EndpointSnapshot['circuit'][] = ['closed', 'half-open', 'open'];

/** Each worker has its own circuits: the worst one is shown. Endpoints may share a name: the n-th are one. */
export function mergeEndpoints(
  snapshots: readonly (readonly EndpointSnapshot[])[],
): readonly EndpointSnapshot[] {
  const merged = new Map<string, EndpointSnapshot>();
  for (const snapshot of snapshots) {
    const seen = new Map<string, number>();
    for (const endpoint of snapshot) {
      const nth = seen.get(endpoint.upstream) ?? 0;
      seen.set(endpoint.upstream, nth + 1);
      const key = `${nth} ${endpoint.upstream}`;
      const known = merged.get(key);
      merged.set(key, known === undefined ? endpoint : together(known, endpoint));
    }
  }
  return [...merged.values()];
}

function together(one: EndpointSnapshot, other: EndpointSnapshot): EndpointSnapshot {
  const worse = SEVERITY.indexOf(other.circuit) > SEVERITY.indexOf(one.circuit) ? other : one;
  return {
    upstream: one.upstream,
    circuit: worse.circuit,
    faults: Math.max(one.faults, other.faults),
    sessions: one.sessions + other.sessions,
    drained: one.drained || other.drained,
  };
}
