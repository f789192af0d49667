import { loadConfiguration } from '../internal/config/environment.js';
import { problemLine } from '../internal/config/problem.js';
import { fromUnknown } from '../internal/errors.js';
import { createDaemon } from './daemon.js';
import { command as define } from './line/command.js';
import { ROUTE_FILE_OPTION } from './line/configuration.js';

export const command = define({
  name: 'run',
  summary: 'Starts the gateway',
  about:
    'Listens on HOST and PORT until SIGTERM or SIGINT; a second signal ends it at once, SIGHUP reads the routes again.',
  options: ROUTE_FILE_OPTION,
  async run(flags) {
    const loaded = loadConfiguration(undefined, { routeFile: flags['route-file'] });
    if ('problems' in loaded) return fail(loaded.problems.map(problemLine));
    const creating = createDaemon(loaded);
    let stopping = false;
    const stop = () => {
      if (stopping) process.exit(1);
      stopping = true;
      creating
        .then((daemon) => daemon.stop())
        .then(
          () => process.exit(0),
          (thrown) => fail([fromUnknown(thrown).message]),
        );
    };
    // Before all else: SIGHUP ends a process that has no handler yet, and SIGTERM does not end a container's first one.
    process
      .on('SIGTERM', stop)
      .on('SIGINT', stop)
      .on('SIGHUP', () => void creating.then((daemon) => daemon.reload()));
    const daemon = await creating;
    await daemon.start();
    return await new Promise<never>(() => {});
  },
});

function fail(lines: readonly string[]): never {
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exit(1);
}
