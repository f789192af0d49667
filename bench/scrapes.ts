/**
 * npm run bench:scrapes: what an echo takes while many scrape the metrics of 1,000 users at the same time.
 * docs/benchmarks.md says what is measured and how.
 */
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { startChild } from '../test/support/child-process.js';
import { http } from '../test/support/clients/http.js';
import { Peer } from '../test/support/clients/ws-client.js';
import { eventually } from '../test/support/eventually.js';
import { type Gateway, startGateway } from '../test/support/gateway/gateway.js';
import { type Issuer, startIssuer } from '../test/support/servers/issuer.js';
import { startEcho } from '../test/support/upstreams/upstream.js';
import { readOptions, WEEK_SECONDS } from './options.js';

const {
  values: options,
  whole,
  decimal,
} = readOptions('bench:scrapes -- [--users N] [--scrapers N] [--seconds N] [--workers N] [--json]', {
  users: { type: 'string', default: '1000' },
  scrapers: { type: 'string', default: '30' },
  seconds: { type: 'string', default: '4' },
  workers: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
  /** Of a process that scrapes: what it asks for, again and again. */
  target: { type: 'string' },
});
const users = whole('users', options.users, 1);
const scrapers = whole('scrapers', options.scrapers, 1);
const workers = whole('workers', options.workers, 1);
const measureMs = decimal('seconds', options.seconds, 0.1, WEEK_SECONDS) * 1000;

const OPENING_AT_ONCE = 25;
const SCRAPERS_NICENESS = 10;
/** Between an answer and the next message of the session that is measured. */
const PAUSE_MS = 1;

interface Latency {
  readonly messages: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

if (options.target === undefined) await run();
else await Promise.all(Array.from({ length: scrapers }, () => scrapeForEver(options.target ?? '')));
process.exit(0);

async function scrapeForEver(url: string): Promise<never> {
  for (;;) {
    await http(url);
    process.stdout.write('.');
  }
}

async function run(): Promise<void> {
  const [issuer, echo] = await Promise.all([startIssuer(), startEcho()]);
  const gateway = await startGateway({
    env: {
      JWKS_URL: issuer.jwksUrl,
      LOG_LEVEL: 'warn',
      METRICS_MAX_USERS: String(users),
      WORKERS: String(workers),
    },
    routes: [{ prefix: '/echo', upstream: echo.url }],
  });
  try {
    await comeAndGo(gateway, issuer);
    const peer = await Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub: 'user 0' }) });
    await measured(peer, measureMs / 4);
    const atRest = await measured(peer, measureMs);
    const scraping = startChild(
      process.execPath,
      [
        ...['--import', 'tsx', fileURLToPath(import.meta.url)],
        ...['--target', `${gateway.http}/metrics`, '--scrapers', String(scrapers)],
      ],
      {},
    );
    // On two cores it would else take the time of the session that is measured, which is in this process.
    setPriority(scraping.pid, SCRAPERS_NICENESS);
    await eventually(() => scraping.stdout.length >= scrapers);
    const before = scraping.stdout.length;
    const scraped = await measured(peer, measureMs);
    const scrapes = scraping.stdout.length - before;
    await scraping.stop('SIGKILL');
    await peer.close();
    const { body } = await http(`${gateway.http}/metrics`);
    report({ atRest, scraped, scrapes, bytes: body.length });
  } finally {
    await gateway.stop();
    await Promise.all([echo.close(), issuer.close()]);
  }
}

/** Every user logs in once, so that there are series of each. */
async function comeAndGo(gateway: Gateway, issuer: Issuer): Promise<void> {
  for (let first = 0; first < users; first += OPENING_AT_ONCE) {
    const some = Array.from({ length: Math.min(OPENING_AT_ONCE, users - first) }, (_, index) => {
      const sub = `user ${first + index}`;
      return Peer.open(`${gateway.ws}/echo`, { token: issuer.sign({ sub, preferred_username: sub }) });
    });
    for (const peer of await Promise.all(some)) await peer.close();
  }
}

/** One message after the other there and back. */
async function measured(peer: Peer, withinMs: number): Promise<Latency> {
  const took: number[] = [];
  const endMs = performance.now() + withinMs;
  while (performance.now() < endMs) {
    const startMs = performance.now();
    peer.send('x'.repeat(64));
    await peer.text();
    took.push(performance.now() - startMs);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
  return { messages: took.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

function report(found: {
  readonly atRest: Latency;
  readonly scraped: Latency;
  readonly scrapes: number;
  readonly bytes: number;
}): void {
  if (options.json) return console.log(JSON.stringify(found));
  const line = (name: string, { p50Ms, p99Ms, maxMs, messages }: Latency) =>
    `| ${name} | ${[p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(2)).join(' | ')} | ${messages} |`;
  console.log('| echo, ms | p50 | p99 | largest | messages |\n| --- | --- | --- | --- | --- |');
  console.log(line('nobody scrapes', found.atRest));
  console.log(line(`${scrapers} scrape`, found.scraped));
  const perSecond = ((found.scrapes * 1000) / measureMs).toFixed(0);
  console.log(`\n${users} users, ${found.bytes} bytes a scrape, ${perSecond} scrapes a second`);
}
