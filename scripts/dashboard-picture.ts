/**
 * Draws docs/dashboard.png: runs a gateway under all kinds of traffic for two minutes, a Prometheus beside
 * it, every query of deploy/grafana/dashboard.json against that, and what comes back in the places of the
 * panels. It is no rendering of Grafana's. Needs the Debian packages prometheus, redis-server and
 * chromium, and a built gateway.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readOptions } from '../bench/options.js';
import { RULES_FILE } from '../test/deploy/alert-rules.js';
import { BusyGateway } from '../test/deploy/busy-gateway.js';
import { type Dashboard, interpolate, type Panel, readDashboard } from '../test/deploy/dashboard.js';
import { startChild } from '../test/support/child-process.js';
import type { Peer } from '../test/support/clients/ws-client.js';
import { type PrometheusServer, startPrometheus } from '../test/support/servers/prometheus-server.js';
import { drawPanel, type Span } from './panel-drawing.js';

const RUN_SECONDS = 120;
const PICTURE = fileURLToPath(new URL('../docs/dashboard.png', import.meta.url));
const PICTURE_WIDTH = 1200;
/** Of Grafana's grid, in pixels; panels leave a gap. */
const ROW_HEIGHT = 23;
const COLUMN_WIDTH = PICTURE_WIDTH / 24;
const GAP = 6;

readOptions('dashboard-picture', {});
const busy = await BusyGateway.start();
const prometheus = await startPrometheus({
  targets: [busy.gateway.port],
  job: 'ws-gateway',
  intervalMs: 1000,
  ruleFiles: [RULES_FILE],
});
try {
  // Prometheus looks at its targets for the first time after 5 s.
  await pause(8000);
  const from = Date.now() / 1000;
  await liveThrough(busy);
  const span = { from, to: from + RUN_SECONDS };
  await screenshot(await draw(await readDashboard(), prometheus, span));
} finally {
  await prometheus.stop();
  await busy.stop();
}
process.exit(0);

/** Clients that come and go, and a little of everything that goes wrong. */
async function liveThrough(on: BusyGateway): Promise<void> {
  const peers: Peer[] = [];
  let releasePeers = () => {};
  const events: Readonly<Record<number, () => Promise<unknown>>> = {
    20: () => on.reload(),
    35: () => on.revoke('dave'),
    36: () => on.revoke('erin'),
    60: async () => {
      const [upstream, client] = [await on.blockUpstream(), await on.blockClient()];
      releasePeers = () => {
        upstream();
        client();
      };
    },
    68: async () => releasePeers(),
    90: () => on.loseStore(),
    104: () => on.redis.restart(),
  };
  for (let second = 0; second < RUN_SECONDS; second++) {
    const next = pause(1000);
    const wanted = Math.round(30 + 20 * Math.sin(second / 18));
    while (peers.length < wanted) peers.push(await on.open('/echo', `user-${peers.length}`));
    for (const peer of peers.splice(wanted)) await peer.close();
    for (const [index, peer] of peers.entries())
      for (let i = 0; i < 4 + (index % 5) + 3 * Math.sin(second / 9); i++)
        peer.send('x'.repeat(80 + 12 * index));
    await on.visit(`user-${second % 23}`, 3);
    for (let times = 0; times < 3 + (second % 4); times++) await on.browse();
    if (second % 3 === 0) await on.turnAway();
    if (second % 7 === 0) await on.askInVain();
    if (second % 4 === 0) await on.exceedRate(['carl', 'frank', 'grace'][(second % 5) % 3] ?? '');
    if (second >= 45 && second < 80 && second % 2 === 0) await on.failUpstreams();
    await events[second]?.();
    await next;
  }
  await Promise.all(peers.map((peer) => peer.close()));
}

async function draw(dashboard: Dashboard, source: PrometheusServer, span: Span): Promise<string> {
  const panels = await Promise.all(
    dashboard.panels.map(async (panel) =>
      drawPanel(panel, await ask(panel, source, span), boxOf(panel), span),
    ),
  );
  const height = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * ROW_HEIGHT + GAP;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${PICTURE_WIDTH}" height="${height}" font-family="DejaVu Sans, sans-serif" font-size="13" fill="#ccccdc">
<rect width="100%" height="100%" fill="#0f1115"/>${panels.join('\n')}</svg>`;
}

function ask({ targets = [] }: Panel, source: PrometheusServer, { from, to }: Span) {
  return Promise.all(targets.map(({ expr }) => source.queryRange(interpolate(expr, '10s'), from, to, 1)));
}

function boxOf({ gridPos: { x, y, w, h } }: Panel) {
  return {
    x: x * COLUMN_WIDTH + GAP / 2,
    y: y * ROW_HEIGHT + GAP,
    width: w * COLUMN_WIDTH - GAP,
    height: h * ROW_HEIGHT - GAP,
  };
}

async function screenshot(svg: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'dashboard-'));
  const page = join(directory, 'dashboard.html');
  const height = /height="(\d+)"/.exec(svg)?.[1];
  await writeFile(page, `<!doctype html><style>body{margin:0}svg{display:block}</style>${svg}`);
  const browser = startChild(
    'chromium',
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--hide-scrollbars',
      '--disable-background-networking',
      `--user-data-dir=${directory}`,
      `--window-size=${PICTURE_WIDTH},${height}`,
      `--screenshot=${PICTURE}`,
      `file://${page}`,
    ],
    { group: true },
  );
  const { code } = await browser.exited;
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  if (code !== 0) throw new Error(`chromium ended with ${code}:\n${browser.stderr}`);
  console.log(`written: ${PICTURE}`);
}
