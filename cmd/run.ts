import { loadConfiguration } from '../internal/config/environment/environment.js';
import { fromUnknown } from '../internal/errors.js';
import { createDaemon } from './daemon.js';
import { command as define } from './line/command.js';
import { faultLines, ROUTE_FILE_OPTION } from './line/configuration.js';
import { heed } from './signals.js';

export const command = define({
  name: 'run',
  summary: 'Starts the gateway',
  about:
    'Listens on HOST and PORT until SIGTERM or SIGINT; a second signal ends it at once, SIGHUP reads the routes again.',
  options: ROUTE_FILE_OPTION,
  async run(flags) {
    const loaded = loadConfiguration(undefined, { routeFile: flags['route-file'] });
    if ('problems' in loaded) return fail(faultLines(loaded));
    const daemon = createDaemon(loaded);
    heed(daemon, failed);
    await (await daemon).start();
    return await new Promise<never>(() => {});
  },
});

function failed(thrown: unknown): never {
  return fail([fromUnknown(thrown).message]);
}

function fail(lines: readonly string[]): never {
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exit(1);
}
