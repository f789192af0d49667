/**
 * npm run bench:http: what a request costs at the gateway, at nginx and at a bare forwarder of node:http and
 * undici, in one run on one machine; and the gateway's memory with idle event streams and bodies that pass
 * slowly. docs/benchmarks.md says what is measured and how.
 */
import { type Issuer, startIssuer } from '../../test/support/servers/issuer.js';
import { environment, placement } from '../machine.js';
import { readOptions, WEEK_SECONDS } from '../options.js';
import { cpuMicros } from '../process-usage.js';
import { runWithScratch } from '../scratch.js';
import { type IdleStreams, idleStreams } from './streams.js';
import {
  LARGE_BYTES,
  type Surroundings,
  startTarget,
  startUpstream,
  TARGETS,
  type Target,
} from './targets.js';
import { type Growth, growthOfTransfers } from './transfers.js';
import { type Load, runWrk } from './wrk.js';

const {
  values: options,
  whole,
  decimal,
  wrong,
} = readOptions('bench:http -- [--case PART_OF_NAME] [--rounds N] [--seconds N] [--quick] [--json]', {
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  case: { type: 'string', default: '' },
  quick: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
});
const rounds = whole('rounds', options.rounds ?? (options.quick ? '1' : '5'), 1);
const seconds = decimal('seconds', options.seconds ?? (options.quick ? '2' : '5'), 1, WEEK_SECONDS);

const CASES = [
  { name: 'GET 1 KB × 100', path: '/small', connections: 100, bytes: 0 },
  { name: '10 MB down × 4', path: '/large', connections: 4, bytes: LARGE_BYTES },
  { name: '10 MB up × 4', path: '/sink', connections: 4, bytes: LARGE_BYTES },
] as const satisfies readonly (Pick<Load, 'path' | 'connections'> & {
  readonly name: string;
  readonly bytes: number;
})[];

const IDLE_STREAMS = 'idle event streams';
const SLOW_BODIES = 'slow bodies';

const isWanted = (name: string): boolean => name.toLowerCase().includes(options.case.toLowerCase());
const wanted = CASES.filter(({ name }) => isWanted(name));
if (wanted.length === 0 && ![IDLE_STREAMS, SLOW_BODIES].some(isWanted))
  wrong(`--case ${JSON.stringify(options.case)} is part of no name`);

interface Figure {
  readonly case: string;
  readonly target: Target['name'];
  readonly round: number;
  /** CPU time of the proxy for one request. */
  readonly cpuMicros: number;
  /** For one second of its CPU time; 0 where bytes are not the point. */
  readonly megabytes: number;
  /** Share of a CPU that it used. */
  readonly busy: number;
  readonly failed: number;
}

await runWithScratch(run);

async function run(directory: string): Promise<void> {
  const { proxyCpu } = placement();
  const issuer = await startIssuer();
  const figures = wanted.length > 0 ? await loaded(directory, issuer) : [];
  const streams = isWanted(IDLE_STREAMS) ? await idleStreams(issuer, options.quick ? 200 : 1000) : undefined;
  const growth = isWanted(SLOW_BODIES)
    ? await growthOfTransfers(issuer, options.quick ? 200 : 2048)
    : undefined;
  const about = { ...environment({ nginx: '-v' }), rounds, seconds, pinned: proxyCpu !== undefined };
  if (options.json) return console.log(JSON.stringify({ about, figures, streams, growth }, undefined, 2));
  for (const [name, value] of Object.entries(about)) console.log(`${name}: ${value}`);
  for (const { name, bytes } of wanted) print(name, bytes > 0, figures);
  printMemory(streams, growth);
}

async function loaded(directory: string, issuer: Issuer): Promise<readonly Figure[]> {
  const { proxyCpu, loadCpu, echoCpu } = placement();
  const upstream = await startUpstream(directory, echoCpu);
  const surroundings: Surroundings = {
    ...{ directory, jwksUrl: issuer.jwksUrl },
    ...{ upstreamPort: upstream.port, cpu: proxyCpu },
  };
  const targets: Target[] = [];
  for (const name of TARGETS) targets.push(await startTarget(name, surroundings));
  const token = issuer.sign({ sub: 'bench' });
  const figures: Figure[] = [];
  const measure = async (each: (typeof CASES)[number], target: Target, round: number) => {
    const load = { ...each, port: target.port, token };
    await runWrk({ ...load, seconds: 1 }, directory, loadCpu);
    const before = cpuMicros(target.pid);
    const startedMs = performance.now();
    const { requests, failed } = await runWrk({ ...load, seconds }, directory, loadCpu);
    const used = cpuMicros(target.pid) - before;
    figures.push({
      ...{ case: each.name, target: target.name, round, failed },
      cpuMicros: used / requests,
      megabytes: (requests * each.bytes) / used,
      busy: used / 1000 / (performance.now() - startedMs),
    });
  };
  for (let round = 0; round < rounds; round++)
    for (const each of wanted)
      for (const at of targets.keys()) {
        const target = targets[(at + round) % targets.length];
        if (target !== undefined) await measure(each, target, round);
      }
  for (const { stop } of [...targets, upstream]) await stop();
  return figures;
}

function printMemory(streams: IdleStreams | undefined, growth: Growth | undefined): void {
  if (streams !== undefined)
    console.log(`\n${streams.count} ${IDLE_STREAMS}: ${streams.kilobytesEach.toFixed(1)} KB each`);
  if (growth === undefined) return;
  const [up, down, upFromRest, downFromRest] = [
    growth.up,
    growth.down,
    growth.upFromRest,
    growth.downFromRest,
  ].map((megabytes) => megabytes.toFixed(1));
  console.log(
    `\n${SLOW_BODIES}: up ${up} MB more than a tenth as much took, down ${down}; than at rest ${upFromRest} and ${downFromRest}`,
  );
}

function print(name: string, isLarge: boolean, figures: readonly Figure[]): void {
  const of = (target: Target['name'], what: 'cpuMicros' | 'megabytes' | 'busy' | 'failed') =>
    median(figures.filter((each) => each.case === name && each.target === target).map((each) => each[what]));
  console.log(`\n${name}`);
  for (const target of TARGETS) {
    const what = isLarge ? 'megabytes' : 'cpuMicros';
    const figure = isLarge
      ? `${of(target, what).toFixed(0)} MB per CPU second`
      : `${of(target, what).toFixed(1)} µs CPU a request`;
    const ratios = TARGETS.filter((other) => other !== target && target === 'gateway').map(
      (other) => `${(of(target, what) / of(other, what)).toFixed(2)} × ${other}`,
    );
    const failed = of(target, 'failed');
    console.log(
      [
        `  ${target.padEnd(8)}${figure}`,
        `core busy ${(of(target, 'busy') * 100).toFixed(0)} %`,
        ...ratios,
        ...(failed > 0 ? [`${failed} FAILED`] : []),
      ].join(', '),
    );
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
