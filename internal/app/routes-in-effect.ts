import type { Targets } from '../access/targets/targets.js';
import {
  hasUpstreams,
  type RouteMatch,
  type RouteTable,
  routeName,
  type UpstreamRoute,
} from '../config/config.js';
import { problemLine } from '../config/problem.js';
import type { RoutesSource } from '../config/routes/file.js';
import type { RouteReloader } from '../config/routes/reload.js';
import type { Exchanges } from '../exchange/exchanges.js';
import { assertServes, type ListenerLimits } from '../gateway/listener-limits.js';
import type { LiveSession } from '../session/live-session.js';
import type { Log } from '../telemetry/log/log.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import type { Upstreams } from '../upstream/upstreams.js';

/** The source of new route tables when the routes file changes. */
export type Reloader = Pick<RouteReloader, 'start' | 'stop' | 'reload'>;

/** The route table for new clients, and what has to happen when it is replaced. */
export class RoutesInEffect {
  #table: RouteTable;
  /** Becomes `#table` as soon as the files it names have been read. */
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

  /** What has become of a route of this table or an earlier one; undefined: it is gone. */
  successor(route: UpstreamRoute): UpstreamRoute | undefined {
    const { routes } = this.#table;
    if (routes.includes(route)) return route;
    const name = routeName(route);
    return routes.filter(hasUpstreams).find((other) => routeName(other) === name);
  }

  /**
   * Creates the endpoints of the table at once; resolves when the files that it names have been read. If
   * `apply` has brought a newer table by then, that one stays.
   */
  start(): Promise<void> {
    const { upstreams, targets } = this.followers;
    upstreams.apply(this.#table);
    return targets.apply(this.#newest.routes);
  }

  /**
   * Replaces the table once the files it names have been read. Sessions and exchanges on endpoints that are
   * gone end where their route said `onRemove: close`.
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

  /** Ends the sessions and exchanges on endpoints that were removed or drained. */
  endTenants(tenancies: ReturnType<Upstreams['apply']>): void {
    // Sessions that are still dialling check it once they are connected.
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
