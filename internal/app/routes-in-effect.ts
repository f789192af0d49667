import type { Targets } from '../access/targets/targets.js';
import type { RouteMatch, RouteTable } from '../config/config.js';
import { problemLine } from '../config/problem.js';
import type { RoutesSource } from '../config/routes/file.js';
import type { RouteReloader } from '../config/routes/reload.js';
import type { Exchanges } from '../exchange/exchanges.js';
import { assertServes, type ListenerLimits } from '../gateway/listener-limits.js';
import type { LiveSession } from '../session/live-session.js';
import type { Log } from '../telemetry/log/log.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import type { Upstreams } from '../upstream/upstreams.js';

/** Whoever brings a new table when the routes file changes. */
export type Reloader = Pick<RouteReloader, 'start' | 'stop' | 'reload'>;

/** The route table that new clients are held against, and what follows when it is replaced. */
export class RoutesInEffect {
  #table: RouteTable;
  /** In effect as soon as what it names has been read. */
  #newest: RouteTable;

  constructor(
    table: RouteTable,
    readonly followers: {
      readonly upstreams: Pick<Upstreams, 'apply'>;
      readonly targets: Pick<Targets, 'apply'>;
    },
    readonly live: {
      readonly sessions: Iterable<LiveSession>;
      readonly exchanges: Pick<Exchanges, 'removed'>;
    },
    readonly metrics: Pick<Metrics, 'prepareRoutes'>,
    readonly listener: ListenerLimits,
  ) {
    this.#table = table;
    this.#newest = table;
    metrics.prepareRoutes(table.routes);
  }

  get table(): RouteTable {
    return this.#table;
  }

  match(path: string, host: string): readonly RouteMatch[] {
    return this.#table.match(path, host);
  }

  /**
   * From now on the endpoints of the table in effect are there; resolves when the files that it names have
   * been read. A newer table than that of the beginning may have come by then, which this does not take back.
   */
  start(): Promise<void> {
    const { upstreams, targets } = this.followers;
    upstreams.apply(this.#table);
    return targets.apply(this.#newest.routes);
  }

  /**
   * Swaps the table in once what it names has been read; sessions and exchanges on endpoints that go
   * with `onRemove: close` end.
   * @throws GatewayError ERR_CONFIG, by rejecting, when the listener that was chosen at start
   *   can not serve its routes.
   */
  async apply(changed: RouteTable): Promise<void> {
    assertServes(this.listener, changed);
    this.#newest = changed;
    const { upstreams, targets } = this.followers;
    await targets.apply(changed.routes);
    this.#table = changed;
    this.metrics.prepareRoutes(changed.routes);
    this.endTenants(upstreams.apply(changed));
  }

  /** Ends the sessions and exchanges whose tenancies those are. */
  endTenants(tenancies: ReturnType<Upstreams['apply']>): void {
    // Sessions that are still on their way there see it when they have come.
    for (const tenancy of tenancies) tenancy.evicted = true;
    for (const session of [...this.live.sessions]) {
      const tenancy = session.pump?.upstream.tenancy;
      if (tenancy !== undefined && tenancies.has(tenancy)) session.queueClose('endpointRemoved');
    }
    this.live.exchanges.removed(tenancies);
  }
}

/** Watches the routes file for a gateway of one process; workers hear of changes from their supervisor. */
export async function watchRoutes(
  source: RoutesSource,
  routes: RoutesInEffect,
  metrics: Metrics,
  log: Log,
): Promise<Reloader> {
  const reload = await import('../config/routes/reload.js');
  return new reload.RouteReloader({
    source,
    table: routes.table,
    onTable: async (changed) => {
      await routes.apply(changed);
      metrics.process.configReloads.inc({ result: 'ok' });
      log.info({ routes: changed.routes.length }, 'routes reloaded');
    },
    onProblems: (problems) => {
      metrics.process.configReloads.inc({ result: 'failed' });
      log.error({ problems: problems.map(problemLine) }, 'routes not reloaded: the ones in effect stay');
    },
  });
}
