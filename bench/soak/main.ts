/**
 * npm run soak: half an hour of mixed sessions that come, talk and go at any stage, with a fault now
 * and then, and whether the gateway's memory stays flat meanwhile. Ends by itself; exits 1 when
 * something was not as it should be.
 */
import { randomInt } from 'node:crypto';
import { eventually } from '../../test/support/eventually.js';
import { type Gateway, startGateway } from '../../test/support/gateway/gateway.js';
import { assertQuiet } from '../../test/support/gateway/quiet.js';
import { startIssuer } from '../../test/support/servers/issuer.js';
import { startBroker } from '../broker.js';
import { environment } from '../machine.js';
import { readOptions, WEEK_SECONDS } from '../options.js';
import { openSockets } from '../process-usage.js';
import { runWithScratch } from '../scratch.js';
import { Endpoint } from './endpoint.js';
import { Faults } from './faults.js';
import { passBodies, startBodies } from './large-bodies.js';
import { HARMED, MQTT, Population, STEADY } from './population.js';
import { seeded } from './random.js';
import { printReport, printSample, type Report } from './report.js';
import { Sampler } from './sampler.js';
import { judgeMemory } from './verdict.js';

const {
  values: options,
  whole,
  decimal,
} = readOptions(
  'soak -- [--minutes N] [--sessions N (10 or more)] [--workers N] [--seed N] [--gigabytes N] [--json]',
  {
    minutes: { type: 'string', default: '30' },
    sessions: { type: 'string', default: '2000' },
    workers: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    gigabytes: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
);
const minutes = decimal('minutes', options.minutes, 0.1, WEEK_SECONDS / 60);
const sessions = whole('sessions', options.sessions, 10);
const workers = whole('workers', options.workers, 1);
const seed = whole('seed', options.seed, 0);
const gigabytes = decimal('gigabytes', options.gigabytes, 0, 1000);

const durationMs = minutes * 60_000;
const sampleMs = Math.min(10_000, durationMs / 30);
const faultMs = Math.min(15_000, durationMs / 40);
const stayMs = Math.min(60_000, durationMs / 6);
/** Descriptors a process may have more in the end: a scrape, a probe of an upstream. */
const SPARE_FILES = 4;
/** Limits that only those who mean to reach them reach. */
const ENVIRONMENT = {
  WORKERS: String(workers),
  LOG_LEVEL: 'warn',
  RATE_LIMIT_PER_SECOND: '400',
  RATE_LIMIT_BURST: '400',
  CB_OPEN_TIMEOUT_SECONDS: '2',
  CB_HEALTHCHECK_INTERVAL_SECONDS: '5',
  // Full before the warm-up is over.
  JWT_CACHE_MAX_ENTRIES: String(Math.ceil(1.5 * sessions)),
};

await runWithScratch(async (directory) => {
  const report = await run(directory);
  if (options.json) console.log(JSON.stringify(report, null, 2));
  else printReport(report);
  process.exitCode = report.ok ? 0 : 1;
});

async function run(directory: string): Promise<Report> {
  const issuer = await startIssuer();
  const broker = await startBroker(directory, undefined);
  const endpoints = [await Endpoint.start(), await Endpoint.start()];
  const steady = await Endpoint.start();
  const bodies = await startBodies();
  const routes = (edition: number) => [
    { prefix: HARMED, upstream: endpoints.map(({ url }) => url) },
    { prefix: STEADY, upstream: steady.url },
    { prefix: MQTT, upstream: `ws://127.0.0.1:${broker.port}` },
    { prefix: '/spare', upstream: `${steady.url}/?edition=${edition}` },
    { prefix: '/bodies', upstream: bodies.url, maxBodyBytes: 0 },
  ];
  const env = { ...ENVIRONMENT, JWKS_URL: issuer.jwksUrl };
  const gateway = await startGateway({ env, routes: routes(0) });
  const sampler = new Sampler(gateway, (sample) => {
    if (!options.json) printSample(sample);
  });
  const before = { files: sampler.files(), rssBytes: sampler.rssBytes(), sockets: openSockets(steady.pid) };

  const population = new Population({
    port: gateway.port,
    issuer,
    sessions,
    seed,
    stayMs,
    tokensLastSeconds: minutes * 60 + 3600,
  });
  const random = seeded(seed - 1);
  const faults = new Faults({ gateway, issuer, path: HARMED, endpoints, routes, random });
  sampler.start(sampleMs);
  const endMs = performance.now() + durationMs;
  await faults.run(faultMs, () => performance.now() >= endMs || !gateway.child.alive);
  await sampler.stop();

  const problems: string[] = [];
  const check = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    await work().catch((error) =>
      problems.push(`${what}: ${error instanceof Error ? error.message : error}`),
    );
  };
  await check('not all said came back', () => population.end());
  await check('not quiet when all had gone', () => assertQuiet(gateway));
  const mostFiles = before.files + SPARE_FILES * workers;
  await check(`more descriptors than the ${before.files} before`, () =>
    eventually(() => sampler.files() <= mostFiles, 60_000),
  );
  await check('upstream sockets are left', () =>
    eventually(() => openSockets(steady.pid) <= before.sockets + workers),
  );
  await check('a large body', () =>
    passBodies(gateway, '/bodies', issuer.sign(), Math.round(gigabytes * 1e9)),
  );
  bodies.close();
  const after = { files: sampler.files(), rssBytes: sampler.rssBytes() };
  await check('the count of internal errors', () => noInternalError(gateway));
  await check('the end of the gateway', async () => {
    const { code, signal } = await gateway.stop();
    if (code !== 0) throw new Error(`exit code ${code}, signal ${signal}`);
  });
  problems.push(...population.faults, ...faults.faults);
  const memory = judgeMemory(sampler.samples, minutes);
  return {
    environment: { ...environment({ mosquitto: '-h' }), minutes, sessions, workers, seed },
    samples: sampler.samples,
    visits: population.visits,
    echoes: population.echoes,
    closes: population.closes,
    faults: faults.done,
    before,
    after,
    memory,
    problems,
    ok: problems.length === 0 && memory.every(({ flat }) => flat),
  };
}

async function noInternalError(gateway: Gateway): Promise<void> {
  const count = (await gateway.metrics()).sum('ws_session_closed_total', { reason: 'internal_error' });
  if (count > 0) throw new Error(`${count} sessions were closed by one`);
}
