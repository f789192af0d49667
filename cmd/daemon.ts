import { fileURLToPath } from 'node:url';
import {
  type LoadedConfiguration,
  limitRequestHeads,
  shareMallocArena,
} from '../internal/config/environment/environment.js';
import { type SettingsChange, SettingsReloader } from '../internal/config/settings-reload.js';
import { createLog, flushed } from '../internal/telemetry/log/log.js';

export interface Daemon {
  /** Resolves when clients are served. */
  start(): Promise<void>;
  /** Reads the routes file again. */
  reload(): void;
  /** Drains and ends everything. */
  stop(): Promise<void>;
}

/** A gateway that hears of changed settings. */
interface Gateway extends Daemon {
  settingsChanged(change: SettingsChange): void;
}

/** The gateway, which follows its settings file. */
export async function createDaemon(loaded: LoadedConfiguration): Promise<Daemon> {
  const gateway = await createGateway(loaded);
  const settings = new SettingsReloader(loaded.settings, (change) => gateway.settingsChanged(change));
  return {
    async start() {
      await gateway.start();
      settings.start();
    },
    reload() {
      settings.reload();
      gateway.reload();
    },
    stop() {
      settings.stop();
      return gateway.stop();
    },
  };
}

/** The gateway as one process, or as a supervisor with its workers. */
async function createGateway(loaded: LoadedConfiguration): Promise<Gateway> {
  const { config, table, routesSource } = loaded;
  await logWarnings(loaded);
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

/** Said once, however many workers there are. */
async function logWarnings({ config, warnings }: LoadedConfiguration): Promise<void> {
  if (warnings.length === 0) return;
  const log = createLog(config.telemetry);
  for (const { name, message } of warnings) log.warn({ variable: name }, `${name} ${message}`);
  await flushed(log);
}
