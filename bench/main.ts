/**
 * npm run bench: the gateway beside nginx, HAProxy, a bare forwarder and a direct connection, in one run on
 * one machine. docs/benchmarks.md says what is measured and how.
 */
import { startIssuer } from '../test/support/servers/issuer.js';
import { groups } from './cases.js';
import { CrowdProgram, compileCrowd } from './crowd-program.js';
import { environment, placement } from './machine.js';
import { readOptions } from './options.js';
import { type Measured, medians, printReport } from './report.js';
import { runGroup } from './rounds.js';
import { runWithScratch } from './scratch.js';
import { PROXIES } from './targets.js';

const {
  values: options,
  whole,
  wrong,
} = readOptions(
  `bench -- [--rounds N] [--case TEXT] [--target ${PROXIES.join()}] [--quick] [--json]\n` +
    `cases:\n  ${groups(false)
      .flatMap(({ cases }) => cases.map(({ name }) => name))
      .join('\n  ')}`,
  {
    rounds: { type: 'string' },
    case: { type: 'string', default: '' },
    target: { type: 'string', default: PROXIES.join() },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
);
const { quick } = options;
const rounds = whole('rounds', options.rounds ?? (quick ? '1' : '5'), 1);
const wanted = options.target.split(',');
const chosen = groups(quick)
  .map((group) => ({
    ...group,
    targets: group.targets.filter(({ proxy }) => wanted.includes(proxy)),
    cases: group.cases.filter(({ name }) => name.includes(options.case)),
  }))
  .filter(({ targets, cases }) => targets.length > 0 && cases.length > 0);
if (chosen.length === 0) wrong('no target has such a case');

await runWithScratch(run);

async function run(directory: string): Promise<void> {
  const places = placement();
  const { proxyCpu, loadCpu, echoCpu } = places;
  const about = {
    ...environment({ nginx: '-v', haproxy: '-v', cc: '--version' }),
    pinned:
      proxyCpu === undefined
        ? 'no'
        : `proxies on CPU ${proxyCpu}, load on ${loadCpu}, upstream on ${echoCpu}`,
    rounds,
  };
  const issuer = await startIssuer();
  const program = await compileCrowd(directory);
  const results: Measured[] = [];
  for (const group of chosen) {
    const measured = await runGroup(group, {
      rounds,
      warmupMs: quick ? 500 : 1000,
      durationMs: quick ? 1000 : 3000,
      directory,
      issuer,
      placement: places,
      startCrowd: () => CrowdProgram.start(program, directory, loadCpu),
    });
    results.push(...measured);
  }
  if (options.json)
    console.log(JSON.stringify({ environment: about, results: results.map(withMedians) }, null, 2));
  else {
    console.log(about);
    printReport(results);
  }
}

function withMedians(result: Measured): Measured & { readonly medians: ReturnType<typeof medians> } {
  return { ...result, medians: medians(result.rounds) };
}
