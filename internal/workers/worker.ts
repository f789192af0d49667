import type { Config, RouteTable } from '../config/config.js';
import { deepFreeze } from '../config/deep-freeze.js';
import type { RoutesSource } from '../config/routes/file.js';
import { createRouteTable } from '../config/routes/table.js';
import type { SupervisorDuties, WorkerDuties } from './duties.js';
import { HandedConnections } from './handed-connections.js';
import { type ChannelEnd, Link } from './link.js';
import { Siblings } from './siblings.js';

/** The gateway that runs in a worker. */
interface WorkerApp {
  start(): Promise<void>;
  stop(): Promise<void>;
  abandon(): Promise<void>;
}

type CreateApp = (
  config: Config,
  table: RouteTable,
  source: RoutesSource,
  siblings: Siblings,
) => Promise<WorkerApp>;

/**
 * Runs the gateway that the supervisor assigns.
 * @returns the exit code, once the worker has drained: because it was told to, or because the supervisor is
 *   gone.
 */
export function runWorker(end: ChannelEnd, create: CreateApp): Promise<number> {
  const link = new Link<WorkerDuties, SupervisorDuties>(end);
  return new Promise((resolve) => {
    let app: Promise<WorkerApp> | undefined;
    let draining = false;
    const endWith = (ending: Promise<void> | undefined) => {
      draining = true;
      Promise.resolve(ending).then(
        () => resolve(0),
        () => resolve(1),
      );
    };
    link.offer({
      assign: ({ worker, config, routes, routesSource }) => {
        const siblings = new Siblings(worker, link, {
          clients: new HandedConnections(end, 'clients'),
          admin: new HandedConnections(end, 'admin'),
        });
        app = create(deepFreeze(config), createRouteTable(routes), deepFreeze(routesSource), siblings);
        // Questions that follow the assignment wait for the gateway that it makes.
        link.hold(app);
        return app.then(() => {});
      },
      ping: () => {},
      start: async () => (await app)?.start(),
      drain: () => endWith(app?.then((gateway) => gateway.stop())),
    });
    // If the supervisor goes during the drain, the worker ends at once.
    end.once('disconnect', () =>
      draining ? resolve(1) : endWith(app?.then((gateway) => gateway.abandon())),
    );
  });
}
