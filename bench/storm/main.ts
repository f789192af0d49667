/**
 * npm run bench:storm: 5,000 MQTT clients come back within a second, each with a token of its own:
 * whether all get in, what 200 sessions that stay notice of it, how many dials a slow upstream sees at
 * once, and whether memory comes back. Exits 1 when something was not as it should be. docs/benchmarks.md
 * says what is measured and how.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../../test/support/eventually.js';
import { type Gateway, startGateway } from '../../test/support/gateway/gateway.js';
import { startIssuer } from '../../test/support/servers/issuer.js';
import { startBroker } from '../broker.js';
import { environment, giveWay, pin, placement } from '../machine.js';
import { readOptions } from '../options.js';
import { rssBytes } from '../process-usage.js';
import { startEcho, writeTokens } from '../programs.js';
import { runWithScratch } from '../scratch.js';
import type { Storm } from './crowd.js';
import { Program } from './program.js';
import type { Echoes } from './quiet-sessions.js';
import { judge, printReport, type Report, type StormFound } from './report.js';
import type { Dials } from './slow-broker.js';

const {
  values: options,
  whole,
  decimal,
  wrong,
} = readOptions(
  'bench:storm -- [--clients N] [--sessions N (that stay)] [--handshakes N (a second; 0: no limit)]\n' +
    '  [--dials N (at once)] [--dial-ms N (what the slow upstream takes)] [--storms cold,warm,slow] [--json]',
  {
    clients: { type: 'string', default: '5000' },
    sessions: { type: 'string', default: '200' },
    handshakes: { type: 'string', default: '500' },
    dials: { type: 'string', default: '32' },
    'dial-ms': { type: 'string', default: '50' },
    storms: { type: 'string', default: 'cold,warm,slow' },
    json: { type: 'boolean', default: false },
  },
);
const { clients, sessions, handshakes, dials, 'dial-ms': dialMs } = options;
for (const flag of ['clients', 'sessions', 'dials'] as const) whole(flag, options[flag], 1);
whole('handshakes', handshakes, 0);
decimal('dial-ms', dialMs, 0, 60_000);

/** Time in which a process comes to rest. */
const SETTLE_MS = 3000;
const REST_MS = 5000;
/** Memory is asked for until it has not become less for the first, or the second has passed. */
const MEMORY_RESTS_MS = 20_000;
const COMES_BACK_WITHIN_MS = 60_000;

/** Name, title, and where the clients go. */
const STORMS = [
  ['cold', 'keys cold', '/mqtt'],
  ['warm', 'keys and tokens known', '/mqtt'],
  ['slow', 'slow upstream', '/slow'],
] as const;
const wanted = options.storms.split(',');
for (const name of wanted)
  if (!STORMS.some(([known]) => known === name)) wrong(`--storms: there is no ${JSON.stringify(name)}`);

const { proxyCpu, loadCpu } = placement();
await runWithScratch(async (directory) => {
  const report = await run(directory);
  if (options.json) console.log(JSON.stringify(report, null, 2));
  else printReport(report);
  process.exitCode = report.problems.length === 0 ? 0 : 1;
});

async function run(directory: string): Promise<Report> {
  const issuer = await startIssuer();
  const tokenFile = await writeTokens(issuer, directory, Number(clients));
  const [broker, echo] = await Promise.all([startBroker(directory, loadCpu), startEcho(loadCpu)]);
  const slow = Program.start('slow-broker', [dialMs], loadCpu);
  const slowPort = await slow.hear<number>();
  const crowd = Program.start('crowd', [JSON.stringify({ clients: Number(clients), tokenFile })], loadCpu);
  // The clients and their brokers are other machines' work: here they give way to what is measured.
  for (const { pid } of [broker, slow, crowd]) giveWay(pid);
  const start = async (handshakesPerSecond: string): Promise<Gateway> => {
    const gateway = await startGateway({
      waitFor: 'alive',
      env: {
        JWKS_URL: issuer.jwksUrl,
        LOG_LEVEL: 'warn',
        // As docs/scaling.md has it for a gateway with one core.
        ...(proxyCpu === undefined ? {} : { NODE_OPTIONS: '--v8-pool-size=1' }),
        MAX_HANDSHAKES_PER_SECOND: handshakesPerSecond,
        MAX_DIALS_PER_ENDPOINT: dials,
        WS_DIAL_RETRY_INTERVAL_SECONDS: undefined,
      },
      routes: [
        { prefix: '/stay', upstream: `ws://127.0.0.1:${echo.port}`, auth: 'public' },
        { prefix: '/mqtt', upstream: `ws://127.0.0.1:${broker.port}`, protocol: 'mqtt' },
        { prefix: '/slow', upstream: `ws://127.0.0.1:${slowPort}`, protocol: 'mqtt' },
      ],
    });
    pin(gateway.pid, proxyCpu);
    return gateway;
  };

  // Those that are there when the gateway goes, and come back to one without keys: its issuer is silent.
  let gateway = await start('0');
  await crowd.ask<Storm>(`come ${gateway.port} /mqtt`);
  await gateway.stop('SIGKILL');
  issuer.mode = 'hang';
  gateway = await start(handshakes);
  await crowd.ask('go');
  const quiet = Program.start('quiet-sessions', [String(gateway.port), '/stay', sessions], loadCpu);
  await quiet.hear();
  await pause(SETTLE_MS);
  await quiet.ask('since');
  await pause(REST_MS);
  const rest = await quiet.ask<Echoes>('since');
  const emptyBytes = rssBytes(gateway.pid);

  const storm = async (name: string, path: string): Promise<StormFound> => {
    await quiet.ask('since');
    issuer.mode = 'ok';
    const found = await crowd.ask<Storm>(`come ${gateway.port} ${path}`);
    const echoes = await quiet.ask<Echoes>('since');
    const fullBytes = rssBytes(gateway.pid);
    await crowd.ask('go');
    await gone(gateway, Number(sessions));
    return { name, storm: found, echoes, fullBytes, emptyBytes: await settled(gateway.pid) };
  };
  if (!wanted.includes('cold')) {
    issuer.mode = 'ok';
    await crowd.ask<Storm>(`come ${gateway.port} /mqtt`);
    await crowd.ask('go');
    await gone(gateway, Number(sessions));
  }
  const storms: StormFound[] = [];
  for (const [name, title, path] of STORMS) if (wanted.includes(name)) storms.push(await storm(title, path));
  const seen = await slow.ask<Dials>('so far');
  const found = {
    environment: { ...environment({ mosquitto: '-h' }), clients, sessions, handshakes, dials, dialMs },
    emptyBytes,
    rest,
    storms,
    seen,
  };
  await Promise.all([quiet.stop(), crowd.stop(), slow.stop(), gateway.stop('SIGKILL')]);
  await Promise.all([broker.stop(), echo.stop(), issuer.close()]);
  return { ...found, problems: judge(found, Number(dials)) };
}

/** Only those that stay are left. */
async function gone(gateway: Gateway, stay: number): Promise<void> {
  await eventually(async () => (await gateway.metrics()).sum('ws_active_sessions') <= stay, 180_000);
}

/** What a process holds when it does not become less any more. */
async function settled(pid: number): Promise<number> {
  const endMs = performance.now() + COMES_BACK_WITHIN_MS;
  let least = rssBytes(pid);
  for (let sinceMs = performance.now(); performance.now() < endMs; ) {
    await pause(500);
    const now = rssBytes(pid);
    if (now < 0.99 * least) [least, sinceMs] = [now, performance.now()];
    else if (performance.now() - sinceMs > MEMORY_RESTS_MS) break;
  }
  return least;
}
