import { loadConfiguration } from '../internal/config/environment/environment.js';
import { problemLine } from '../internal/config/problem.js';
import { hasHttpRoutes } from '../internal/config/routes/table.js';
import { chooseListener } from '../internal/gateway/choice.js';
import { examine } from './doctor/examination.js';
import { findingLine } from './doctor/finding.js';
import { command as define } from './line/command.js';
import { faultLines, ROUTE_FILE_OPTION } from './line/configuration.js';

export const command = define({
  name: 'check',
  summary: 'Validates environment and routes, and prints every problem',
  about:
    'Reads what the gateway would read at its start, the key and certificate files too, and listens nowhere.',
  options: {
    ...ROUTE_FILE_OPTION,
    online: { text: 'ask issuer, stores and upstreams too, as doctor does' },
  },
  notes: 'Exit status: 0 all well, 1 problems.',
  async run(flags) {
    const loaded = loadConfiguration(undefined, { routeFile: flags['route-file'] });
    if ('problems' in loaded) {
      process.stderr.write(`${faultLines(loaded).join('\n')}\n`);
      return 1;
    }
    const { listen } = loaded.config;
    if (listen.listener === 'uws' || listen.compression !== 'off') {
      const refused = await chooseListener(listen, hasHttpRoutes(loaded.table)).catch(
        (error: Error) => error,
      );
      if (refused instanceof Error) {
        process.stderr.write(`${refused.message}\n`);
        return 1;
      }
    }
    for (const warning of loaded.warnings) process.stderr.write(`warning: ${problemLine(warning)}\n`);
    process.stdout.write('configuration ok\n');
    if (!flags.online) return 0;
    const findings = await examine(loaded.config, loaded.table);
    for (const finding of findings) process.stdout.write(`${findingLine(finding, false)}\n`);
    process.exit(findings.some(({ state }) => state === 'bad') ? 1 : 0);
  },
});
