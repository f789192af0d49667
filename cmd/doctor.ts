import { loadConfiguration } from '../internal/config/environment/environment.js';
import { wantsColour } from '../internal/config/environment/surroundings.js';
import { problemLine } from '../internal/config/problem.js';
import { examine } from './doctor/examination.js';
import { type Finding, findingLine } from './doctor/finding.js';
import { command as define } from './line/command.js';
import { ROUTE_FILE_OPTION } from './line/configuration.js';

export const command = define({
  name: 'doctor',
  summary: 'Looks at everything the gateway depends on, and says what is wrong',
  about: `Configuration, issuer and keys, clock, Redis and Postgres with the rights they need, every upstream, certificates and
the file limit, as this machine sees them. Changes nothing; no user's credentials go anywhere.`,
  options: { ...ROUTE_FILE_OPTION, json: { text: 'one JSON array' } },
  notes: 'Exit status: 0 all well or warnings only, 1 something is wrong.',
  async run(flags) {
    const findings = await findingsOf(flags['route-file']);
    const colour = wantsColour(process.stdout);
    process.stdout.write(
      flags.json
        ? `${JSON.stringify(findings, undefined, 2)}\n`
        : findings.map((finding) => `${findingLine(finding, colour)}\n`).join(''),
    );
    process.exit(findings.some(({ state }) => state === 'bad') ? 1 : 0);
  },
});

async function findingsOf(routeFile: string | undefined): Promise<readonly Finding[]> {
  const loaded = loadConfiguration(undefined, { routeFile });
  const doubts = loaded.warnings.map((warning) => ofConfiguration('doubtful', problemLine(warning)));
  if ('problems' in loaded)
    return [...loaded.problems.map((problem) => ofConfiguration('bad', problemLine(problem))), ...doubts];
  return [
    ofConfiguration('good', `routes: ${loaded.table.routes.length}`),
    ...doubts,
    ...(await examine(loaded.config, loaded.table)),
  ];
}

function ofConfiguration(state: Finding['state'], text: string): Finding {
  return { about: 'configuration', state, text };
}
