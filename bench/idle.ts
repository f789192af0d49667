/**
 * npm run bench:idle: memory of many idle sessions, all authenticated, each with a token of its
 * own, over several workers.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../test/support/eventually.js';
import { startIssuer } from '../test/support/servers/issuer.js';
import type { Hold } from './hold.js';
import { environment } from './machine.js';
import { readOptions, WEEK_SECONDS } from './options.js';
import { openFiles, openSockets, pssBytes } from './process-usage.js';
import { startEcho, startProgram, writeTokens } from './programs.js';
import { runWithScratch } from './scratch.js';
import { startTarget, type Target } from './targets.js';

const {
  values: options,
  whole,
  decimal,
} = readOptions(
  'bench:idle -- [--sessions N] [--workers N] [--tokens N (different ones)] [--hold SECONDS] [--json]',
  {
    sessions: { type: 'string', default: '19000' },
    workers: { type: 'string', default: '2' },
    tokens: { type: 'string' },
    hold: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
  },
);
const sessions = whole('sessions', options.sessions, 1);
const workers = whole('workers', options.workers, 1);
const tokens = whole('tokens', options.tokens ?? options.sessions, 1);
const holdMs = decimal('hold', options.hold, 0, WEEK_SECONDS) * 1000;

/** Sessions for each process that holds clients, and for each echo: well below its limit of descriptors. */
const SESSIONS_PER_PROCESS = 5000;
const SETTLE_MS = 5000;
/** Until the gateway has given back what its start took. */
const START_SETTLES_MS = 20_000;
const SAMPLE_MS = 10_000;

interface Sample {
  readonly when: string;
  readonly supervisorBytes: number;
  readonly workerBytes: readonly number[];
}

await runWithScratch(run);

async function run(directory: string): Promise<void> {
  const helpers = Math.ceil(sessions / SESSIONS_PER_PROCESS);
  const issuer = await startIssuer();
  console.error(`signing ${tokens} tokens`);
  const tokenFile = await writeTokens(issuer, directory, tokens);
  const [first, ...others] = await Promise.all(Array.from({ length: helpers }, () => startEcho()));
  if (first === undefined) throw new Error('no echo');
  const target = await startTarget(
    { name: 'gateway', proxy: 'gateway', env: { WORKERS: String(workers) } },
    {
      directory,
      upstreamPorts: [first.port, ...others.map(({ port }) => port)],
      jwksUrl: issuer.jwksUrl,
      certificate: undefined,
      cpu: undefined,
    },
  );
  await pause(START_SETTLES_MS);
  const workerPids = workers === 1 ? target.pids : target.pids.slice(1);
  const before = { sockets: workerPids.map(openSockets), files: workerPids.map(openFiles) };
  const samples = [sample('no sessions', target)];

  console.error(`opening ${sessions} sessions`);
  const startMs = performance.now();
  const holders = Array.from({ length: helpers }, (_, index) =>
    startHolder(index, helpers, target.port, tokenFile),
  );
  await eventually(() => {
    const ended = holders.find((holder) => !holder.alive);
    if (ended !== undefined) throw new Error(`a client process ended:\n${ended.stderr}`);
    return holders.every(({ stdout }) => stdout.includes('open'));
  }, 300_000);
  const openingMs = performance.now() - startMs;
  await pause(SETTLE_MS);
  samples.push(sample('open', target));
  for (let heldMs = SAMPLE_MS; heldMs <= holdMs; heldMs += SAMPLE_MS) {
    await pause(SAMPLE_MS);
    samples.push(sample(`${heldMs / 1000} s later`, target));
  }
  const sessionsByWorker = workerPids.map(
    (pid, index) => (openSockets(pid) - (before.sockets[index] ?? 0)) / 2,
  );
  const mostFiles = Math.max(...workerPids.map(openFiles));
  const lost = holders.reduce((sum, { stdout }) => sum + (stdout.match(/lost/g)?.length ?? 0), 0);
  const held = samples.at(-1);

  await Promise.all(holders.map((holder) => holder.stop('SIGKILL')));
  await eventually(
    () => workerPids.every((pid, index) => openFiles(pid) <= (before.files[index] ?? 0) + 2),
    60_000,
  );
  await pause(SETTLE_MS);
  samples.push(sample('all gone', target));
  report({ samples, held, sessionsByWorker, mostFiles, lost, openingMs });
}

function startHolder(
  index: number,
  of: number,
  port: number,
  tokenFile: string,
): ReturnType<typeof startProgram> {
  const share = Math.floor((sessions * (index + 1)) / of) - Math.floor((sessions * index) / of);
  const hold: Hold = {
    port,
    connections: share,
    localAddress: `127.0.0.${2 + index}`,
    tokenFile,
    firstToken: Math.floor((sessions * index) / of),
  };
  return startProgram(new URL('hold.ts', import.meta.url), [JSON.stringify(hold)]);
}

function sample(when: string, { pids }: Target): Sample {
  const [first = 0, ...rest] = pids.map(pssBytes);
  return workers === 1
    ? { when, supervisorBytes: 0, workerBytes: [first] }
    : { when, supervisorBytes: first, workerBytes: rest };
}

interface Found {
  readonly samples: readonly Sample[];
  readonly held: Sample | undefined;
  readonly sessionsByWorker: readonly number[];
  readonly mostFiles: number;
  readonly lost: number;
  readonly openingMs: number;
}

function report({ samples, held, sessionsByWorker, mostFiles, lost, openingMs }: Found): void {
  const mean = sessions / sessionsByWorker.length;
  const totalBytes = held === undefined ? 0 : totalOf(held);
  const emptyBytes = samples[0] === undefined ? 0 : totalOf(samples[0]);
  const summary = {
    sessions,
    differentTokens: tokens,
    'opened in s': (openingMs / 1000).toFixed(1),
    'lost while held': lost,
    'sessions by worker': sessionsByWorker.join(' + '),
    spread: `${(((Math.max(...sessionsByWorker) - Math.min(...sessionsByWorker)) / mean) * 100).toFixed(1)} %`,
    'descriptors of a worker at most': mostFiles,
    'memory in all, MB': megabytes(totalBytes),
    'a session, KB, with all processes': (totalBytes / 1024 / sessions).toFixed(2),
    'a session, KB, beyond the empty gateway': ((totalBytes - emptyBytes) / 1024 / sessions).toFixed(2),
  };
  if (options.json)
    return console.log(JSON.stringify({ environment: environment(), summary, samples }, null, 2));
  console.log(environment());
  console.table(
    samples.map((one) => ({
      when: one.when,
      'supervisor, MB': megabytes(one.supervisorBytes),
      'workers, MB': one.workerBytes.map(megabytes).join(' + '),
      'in all, MB': megabytes(totalOf(one)),
    })),
  );
  console.log(summary);
}

function totalOf({ supervisorBytes, workerBytes }: Sample): number {
  return workerBytes.reduce((sum, bytes) => sum + bytes, supervisorBytes);
}

/** Of 1,000,000 bytes. */
function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}
