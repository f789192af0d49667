/**
 * npm run bench:workers: what two workers carry in comparison with one, and how evenly connections fall on
 * them. docs/benchmarks.md says how to read it where load generator and gateway share the cores.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { startIssuer } from '../test/support/servers/issuer.js';
import type { Outcome } from './job.js';
import { environment } from './machine.js';
import { readOptions } from './options.js';
import { allowedCpus, openSockets } from './process-usage.js';
import { runLoad, startEcho, writeTokens } from './programs.js';
import { median } from './report.js';
import { runWithScratch } from './scratch.js';
import { startTarget, type Target } from './targets.js';

const { values: options, whole } = readOptions(
  'bench:workers -- [--rounds N] [--connections N (a worker)] [--quick] [--json]',
  {
    rounds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '500' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
);
const givenRounds = whole('rounds', options.rounds, 1);
const rounds = options.quick ? 1 : givenRounds;
const connectionsPerWorker = whole('connections', options.connections, 2);

const WORKERS = [1, 2] as const;
/** Load generators, and echoes, in every measurement. */
const LOADS = 2;
const PAYLOADS = [64, 1024];
const DURATION_MS = options.quick ? 1000 : 4000;
/** Time for two processes to start and to open their connections, and for a warm-up. */
const START_MS = 8000;

/** A worker's share of the equal load, to what one worker did when it was given all it could do. */
const RATE_SHARE = 0.25;

interface Round {
  /** CPU time of supervisor and workers per message. */
  readonly cpuMicros: number;
  readonly messagesPerSecond: number;
  /** Cores' worth of CPU time the gateway used. */
  readonly coresBusy: number;
  readonly sessionsByWorker: readonly number[];
}

interface Result {
  readonly payloadBytes: number;
  /** saturate: as much as all processes together can do. rate: as much for every worker. */
  readonly mode: 'saturate' | 'rate';
  readonly workers: number;
  readonly rounds: Round[];
}

const cpus = allowedCpus();
/** With four cores the gateway has two of them to itself. */
const pinnedTo = cpus.length >= 4 ? cpus.slice(0, 2).join() : undefined;
const loadCpus = cpus.length >= 4 ? cpus.slice(2).join() : undefined;
/** Sockets of each worker before its first session. */
const idleSockets = new Map<number, number>();
await runWithScratch(run);

async function run(directory: string): Promise<void> {
  const issuer = await startIssuer();
  const tokenFile = await writeTokens(issuer, directory, 100);
  const [echo, otherEcho] = [await startEcho(loadCpus), await startEcho(loadCpus)];
  const surroundings = {
    directory,
    upstreamPorts: [echo.port, otherEcho.port] as const,
    jwksUrl: issuer.jwksUrl,
    certificate: undefined,
    cpu: pinnedTo,
  };
  const targets = new Map<number, Target>();
  for (const workers of WORKERS) {
    const env = { WORKERS: String(workers) };
    const target = await startTarget({ name: `workers ${workers}`, proxy: 'gateway', env }, surroundings);
    targets.set(workers, target);
    for (const pid of target.pids) idleSockets.set(pid, openSockets(pid));
  }
  const results: Result[] = [];
  for (const payloadBytes of PAYLOADS) {
    let perSecond = 0;
    for (const mode of ['saturate', 'rate'] as const) {
      const some = WORKERS.map((workers): Result => ({ payloadBytes, mode, workers, rounds: [] }));
      for (let round = 0; round < rounds; round++) {
        // The one that begins takes turns.
        for (const result of round % 2 === 0 ? some : some.toReversed()) {
          const target = targets.get(result.workers);
          if (target === undefined) continue;
          console.error(
            `${payloadBytes} B: ${mode} WORKERS=${result.workers}, round ${round + 1} of ${rounds}`,
          );
          result.rounds.push(await measure(target, result, perSecond, tokenFile));
        }
      }
      perSecond = RATE_SHARE * (median(some[0]?.rounds.map((round) => round.messagesPerSecond) ?? []) ?? 0);
      results.push(...some);
    }
  }
  const about = {
    ...environment(),
    pinned:
      pinnedTo === undefined
        ? 'no: load and gateway share the cores'
        : `gateway on ${pinnedTo}, load on ${loadCpus}`,
    connectionsPerWorker,
    rounds,
  };
  if (options.json) console.log(JSON.stringify({ environment: about, results }, null, 2));
  else {
    console.log(about);
    for (const { payloadBytes, mode } of results.filter(({ workers }) => workers === 1))
      print(results.filter((each) => each.payloadBytes === payloadBytes && each.mode === mode));
  }
}

/** @param perSecond messages for each worker, in mode `rate`. */
async function measure(
  target: Target,
  { workers, payloadBytes, mode }: Result,
  perSecond: number,
  tokenFile: string,
): Promise<Round> {
  const [first = 0, ...children] = target.pids;
  const workerPids = workers === 1 ? [first] : children;
  const job = {
    mode,
    speech: 'plain',
    path: '/echo',
    connections: Math.ceil((connectionsPerWorker * workers) / LOADS),
    inflight: 1,
    payloadBytes,
    perSecond: (perSecond * workers) / LOADS,
    warmupMs: 0,
    durationMs: DURATION_MS,
    tokenFile,
    firstToken: 0,
    port: target.port,
    startAtMs: Date.now() + START_MS,
  } as const;
  // The first one reads the gateway's CPU time, over the time in which all of them count.
  const loads = Array.from({ length: LOADS }, (_, index) =>
    runLoad({ ...job, pids: index === 0 ? target.pids : [] }, loadCpus),
  );
  const [outcomes, sessionsByWorker] = await Promise.all([
    Promise.all(loads),
    pause(START_MS + DURATION_MS / 2).then(() =>
      // A session is two sockets: the client's and the upstream's.
      workerPids.map((pid) => Math.floor((openSockets(pid) - (idleSockets.get(pid) ?? 0)) / 2)),
    ),
  ]);
  const messagesPerSecond = outcomes.reduce((sum, outcome) => sum + (outcome.messagesPerSecond ?? 0), 0);
  const microsPerSecond = microsOf(outcomes[0]);
  return {
    cpuMicros: microsPerSecond / messagesPerSecond,
    messagesPerSecond,
    coresBusy: microsPerSecond / 1_000_000,
    sessionsByWorker,
  };
}

/** CPU time in a second. */
function microsOf(outcome: Outcome | undefined): number {
  return (outcome?.cpuMicros ?? 0) * (outcome?.messagesPerSecond ?? 0);
}

/** Distance between the workers with most and with fewest sessions, to the mean. */
function spreadOf(sessions: readonly number[]): number {
  const mean = sessions.reduce((sum, each) => sum + each, 0) / sessions.length;
  return (Math.max(...sessions) - Math.min(...sessions)) / mean;
}

function print(results: readonly Result[]): void {
  const capacities = results.map(
    ({ workers, rounds: all }) =>
      (workers * 1_000_000) / (median(all.map(({ cpuMicros }) => cpuMicros)) ?? 0),
  );
  const { payloadBytes, mode } = results[0] ?? {};
  const load = mode === 'rate' ? 'the same load for every worker' : '1 in flight';
  console.log(`\n${payloadBytes} B, ${connectionsPerWorker} connections a worker, ${load}`);
  const rows = results.map(({ workers, rounds: all }, index) => {
    const capacity = capacities[index] ?? 0;
    const spreads = all.map(({ sessionsByWorker }) => spreadOf(sessionsByWorker));
    return [
      `WORKERS=${workers}`,
      {
        'CPU µs a message': median(all.map(({ cpuMicros }) => cpuMicros))?.toFixed(1),
        'capacity by CPU, messages/s': capacity.toFixed(0),
        'to one worker': (capacity / (capacities[0] ?? 0)).toFixed(2),
        'measured messages/s': median(all.map((round) => round.messagesPerSecond))?.toFixed(0),
        'cores busy': median(all.map(({ coresBusy }) => coresBusy))?.toFixed(2),
        'sessions by worker': all.at(-1)?.sessionsByWorker.join(' + '),
        'largest spread': `${(Math.max(...spreads) * 100).toFixed(1)} %`,
      },
    ] as const;
  });
  console.table(Object.fromEntries(rows));
}
