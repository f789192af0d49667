import { fileURLToPath } from 'node:url';
import type { Config, RouteTable } from '../internal/config/config.js';
import { limitRequestHeads, shareMallocArena } from '../internal/config/environment.js';
import type { RoutesSource } from '../internal/config/routes/file.js';

export interface Daemon {
  /** Resolves when clients are served. */
  start(): Promise<void>;
  /** Reads the routes file again. */
  reload(): void;
  /** Drains and ends everything. */
  stop(): Promise<void>;
}

export interface Loaded {
  readonly config: Config;
  readonly table: RouteTable;
  readonly routesSource: RoutesSource;
}

/** The gateway as one process, or as a supervisor with its workers. */
export async function createDaemon({ config, table, routesSource }: Loaded): Promise<Daemon> {
  // The native library reads its environment when it is loaded; workers inherit it.
  limitRequestHeads();
  if (config.listen.workers === 1) {
    const { createApp } = await import('../internal/app/lifecycle.js');
    return createApp(config, table, routesSource);
  }
  shareMallocArena();
  const { Supervisor } = await import('../internal/workers/supervisor.js');
  const entry = fileURLToPath(new URL('./worker.js', import.meta.url));
  return new Supervisor({ config, table, routesSource, entry });
}
