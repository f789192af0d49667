/**
 * npm run bench: the gateway beside nginx, HAProxy and a direct connection, in one run on one machine.
 * docs/benchmarks.md says what is measured and how.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startChild } from '../test/support/child-process.js';
import { eventually } from '../test/support/eventually.js';
import { startIssuer } from '../test/support/issuer.js';
import { type Case, cases } from './cases.js';
import type { Job, Outcome } from './load.js';
import { allowedCpus } from './process-usage.js';
import { type Measured, medians, printReport } from './report.js';
import { pinned, startTarget, TARGET_NAMES, type Target, type TargetName } from './targets.js';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string' },
    case: { type: 'string', default: '' },
    target: { type: 'string', default: TARGET_NAMES.join() },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const quick = options.quick;
const rounds = Number(options.rounds ?? (quick ? 1 : 5));
const chosen = cases(quick).filter(({ name }) => name.includes(options.case));
const names = options.target
  .split(',')
  .filter((name): name is TargetName => TARGET_NAMES.includes(name as TargetName));
if (!(rounds >= 1) || chosen.length === 0 || names.length === 0) {
  console.error(
    'usage: bench [--rounds N] [--case TEXT] [--target direct,nginx,haproxy,gateway] [--quick] [--json]',
  );
  console.error(
    `cases: ${cases(quick)
      .map(({ name }) => name)
      .join(' | ')}`,
  );
  process.exit(2);
}

const WARMUP_MS = quick ? 500 : 1500;
const DURATION_MS = quick ? 1000 : 4000;
/** Latency is compared at this share of what nginx manages. */
const RATE_SHARE = 0.2;
const SHARED_TOKENS = 100;

const [proxyCpu, loadCpu = proxyCpu, echoCpu = loadCpu] = allowedCpus();
const canPin = proxyCpu !== loadCpu;
const tsx = fileURLToPath(import.meta.resolve('tsx'));
const directory = await mkdtemp(join(tmpdir(), 'ws-gateway-bench-'));
// On every way out: tokens are in it. The processes end likewise, see test/support/child-process.ts.
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const issuer = await startIssuer();
try {
  await run();
} catch (error) {
  console.error(error);
  process.exit(1);
}
process.exit(0);

async function run(): Promise<void> {
  const echoPort = await startEcho();
  const surroundings = {
    directory,
    echoPort,
    jwksUrl: issuer.jwksUrl,
    cpu: canPin ? proxyCpu : undefined,
  };
  const targets: Target[] = [];
  for (const name of names) targets.push(await startTarget(name, surroundings));
  const restart = async ({ name, stop }: Target): Promise<Target> => {
    await stop();
    return startTarget(name, surroundings);
  };
  const results: Measured[] = [];
  for (const one of chosen) results.push(...(await runCase(one, targets, restart)));
  if (options.json)
    console.log(JSON.stringify({ environment: environment(), results: results.map(withMedians) }, null, 2));
  else {
    console.log(environment());
    printReport(results);
  }
}

/** One case: rounds in which every target has its turn, each round beginning with another one. */
async function runCase(
  one: Case,
  targets: Target[],
  restart: (target: Target) => Promise<Target>,
): Promise<Measured[]> {
  const results = targets.map(({ name }) => ({ case: one.name, target: name, rounds: [] as Outcome[] }));
  const tokenFile = await writeTokens(one.freshTokens ? one.job.connections * rounds : SHARED_TOKENS);
  const base = {
    ...one.job,
    path: '/echo',
    perSecond: 0,
    warmupMs: WARMUP_MS,
    durationMs: DURATION_MS,
    tokenFile,
  };
  const eachTurn = async (job: Omit<Job, 'port' | 'firstToken'>): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < targets.length; turn++) {
        const index = (round + turn) % targets.length;
        const [target, result] = [targets[index], results[index]];
        if (target === undefined || result === undefined) continue;
        if (target.pid === undefined && (job.mode === 'idle' || job.mode === 'connect')) continue;
        console.error(`${one.name}: ${job.mode} ${target.name}, round ${round + 1} of ${rounds}`);
        const { port, pid } = target;
        const firstToken = round * (one.freshTokens ? job.connections : 0);
        result.rounds.push(
          await runLoad({ ...job, port, firstToken, ...(pid === undefined ? {} : { pid }) }),
        );
        // Memory once used is used again: the next round counts in a new process.
        if (job.mode === 'idle') targets[index] = await restart(target);
      }
    }
  };
  await eachTurn(base);
  if (one.job.mode === 'saturate') {
    const nginx = results.find(({ target }) => target === 'nginx') ?? results[0];
    const perSecond = RATE_SHARE * (medians(nginx?.rounds ?? []).messagesPerSecond ?? 0);
    await eachTurn({ ...base, mode: 'rate', perSecond });
  }
  return results;
}

async function runLoad(job: Job): Promise<Outcome> {
  const args = ['--import', tsx, fileURLToPath(new URL('load.ts', import.meta.url)), JSON.stringify(job)];
  const child = startChild(...pinned(canPin ? loadCpu : undefined, process.execPath, args));
  const { code } = await child.exited;
  if (code !== 0) throw new Error(`the load generator failed on port ${job.port}:\n${child.stderr}`);
  return JSON.parse(child.stdout) as Outcome;
}

async function startEcho(): Promise<number> {
  const args = ['--import', tsx, fileURLToPath(new URL('echo.ts', import.meta.url))];
  const child = startChild(...pinned(canPin ? echoCpu : undefined, process.execPath, args));
  return eventually(() => {
    if (!child.alive) throw new Error(`the echo ended:\n${child.stderr}`);
    return Number(child.stdout) || false;
  });
}

/** Signed for the issuer the gateway trusts; gone with the directory. */
async function writeTokens(count: number): Promise<string> {
  const file = join(directory, 'tokens.json');
  const tokens = Array.from({ length: count }, (_, index) => issuer.sign({ sub: `subject-${index}` }));
  await writeFile(file, JSON.stringify(tokens), { mode: 0o600 });
  return file;
}

function withMedians(result: Measured): Measured & { readonly medians: Outcome } {
  return { ...result, medians: medians(result.rounds) };
}

function environment(): Record<string, string | number> {
  const version = (command: string, flag: string): string => {
    try {
      // nginx prints its version to standard error.
      return execFileSync('sh', ['-c', `${command} ${flag} 2>&1`], { encoding: 'utf8' }).split('\n')[0] ?? '';
    } catch {
      return 'not found';
    }
  };
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    pinned: canPin ? `proxies on CPU ${proxyCpu}, load on ${loadCpu}, echo on ${echoCpu}` : 'no',
    kernel: release(),
    node: process.version,
    nginx: version('nginx', '-v'),
    haproxy: version('haproxy', '-v'),
    rounds,
  };
}
