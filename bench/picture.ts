/**
 * npm run bench:picture -- FILE: draws docs/benchmarks.svg from what `npm run --silent bench -- --json`
 * printed: a bar for each proxy, as long as its CPU time (of idle sessions: its memory) to nginx's. Prints
 * the same as a table for docs/benchmarks.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readOptions } from './options.js';
import { type Measured, medians, ratioToNginx } from './report.js';

const PICTURE = fileURLToPath(new URL('../docs/benchmarks.svg', import.meta.url));
interface Look {
  /** In the legend. */
  readonly name: string;
  readonly colour: string;
}

/** In the order they are drawn. */
const LOOKS: Readonly<Record<string, Look>> = {
  nginx: { name: 'nginx', colour: '#8c959f' },
  haproxy: { name: 'HAProxy', colour: '#54aeff' },
  'haproxy, jwt_verify': { name: 'HAProxy, verifies the token', colour: '#0969da' },
  bare: { name: "the runtime's floor", colour: '#bf8700' },
  gateway: { name: 'gateway', colour: '#1a7f37' },
};
const WIDTH = 880;
const NAMES_WIDTH = 370;
const LEGEND_X = 230;
/** Of a character of the legend, about. */
const CHARACTER_WIDTH = 6.5;
const BAR_HEIGHT = 13;
const GROUP_GAP = 14;
const HEAD_HEIGHT = 48;

interface Bar {
  readonly target: string;
  readonly ratio: number;
}

const {
  operands: [file = ''],
  wrong,
} = readOptions('bench:picture -- FILE, what `npm run --silent bench -- --json` printed', {}, 1);
const results = resultsIn(file);
writeFileSync(PICTURE, drawn(barsByCase(results)));
console.log(table(results));

function resultsIn(name: string): readonly Measured[] {
  try {
    const { results: found } = JSON.parse(readFileSync(name, 'utf8')) as { results?: readonly Measured[] };
    if (Array.isArray(found)) return found;
  } catch {}
  return wrong(`${JSON.stringify(name)} cannot be read, or is not what the benchmark printed`);
}

/** Cases in the order they ran; a proxy that was not under full load has no ratio and no bar. */
function barsByCase(measured: readonly Measured[]): ReadonlyMap<string, readonly Bar[]> {
  const cases = new Map<string, Bar[]>();
  for (const { case: name } of measured) {
    const of = measured.filter((each) => each.case === name);
    const nginx = medians(of.find(({ target }) => target === 'nginx')?.rounds ?? []);
    const bars = Object.keys(LOOKS).flatMap((target) => {
      const ratio = ratioToNginx(medians(of.find((each) => each.target === target)?.rounds ?? []), nginx);
      return typeof ratio === 'number' ? [{ target, ratio }] : [];
    });
    if (bars.some(({ target }) => target === 'gateway')) cases.set(name, bars);
  }
  return cases;
}

/** A row a case: what each target needs, and what that is to nginx's; then how long messages take. */
function table(measured: readonly Measured[]): string {
  const targets = [...new Set(measured.map(({ target }) => target))];
  const timed = targets.filter((target) => target === 'nginx' || target === 'gateway');
  const head = ['', ...targets, ...timed.map((target) => `p99 µs ${target}, calm`)];
  const rows = [...new Set(measured.map((each) => each.case))].map((name) => {
    const outcome = (target: string) =>
      medians(measured.find((each) => each.case === name && each.target === target)?.rounds ?? []);
    const nginx = outcome('nginx');
    const costs = targets.map((target) => {
      const own = outcome(target);
      const { cpuMicros, bytesPerSession } = own;
      const value = cpuMicros ?? (bytesPerSession === undefined ? undefined : bytesPerSession / 1024);
      if (value === undefined) return '';
      const ratio = target === 'nginx' ? undefined : ratioToNginx(own, nginx);
      const cost = value.toFixed(value < 10 ? 2 : 1);
      return typeof ratio === 'number' ? `${cost}, ${ratio.toFixed(2)}` : cost;
    });
    return [name, ...costs, ...timed.map((target) => outcome(target).calmP99Micros?.toFixed(0) ?? '')];
  });
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function drawn(cases: ReadonlyMap<string, readonly Bar[]>): string {
  const longest = Math.max(...[...cases.values()].flat().map(({ ratio }) => ratio));
  const perRatio = (WIDTH - NAMES_WIDTH - 60) / longest;
  const parts: string[] = [];
  let y = HEAD_HEIGHT;
  for (const [name, bars] of cases) {
    const middle = y + (bars.length * BAR_HEIGHT) / 2 + 4;
    parts.push(text(NAMES_WIDTH - 12, middle, name, 'end'));
    for (const { target, ratio } of bars) {
      const width = Math.max(1, ratio * perRatio);
      parts.push(
        `<rect x="${NAMES_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT - 2}" rx="2" fill="${LOOKS[target]?.colour}"/>`,
        text(NAMES_WIDTH + width + 6, y + BAR_HEIGHT - 3, ratio.toFixed(2), 'start'),
      );
      y += BAR_HEIGHT;
    }
    y += GROUP_GAP;
  }
  const nginx = NAMES_WIDTH + perRatio;
  let x = LEGEND_X;
  const legend = Object.values(LOOKS).map(({ name, colour }) => {
    const key = `<rect x="${x}" y="16" width="11" height="11" rx="2" fill="${colour}"/>${text(x + 17, 26, name, 'start')}`;
    x += 34 + Math.round(name.length * CHARACTER_WIDTH);
    return key;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="system-ui, sans-serif" font-size="12" fill="#1f2328" role="img">`,
    '<title>CPU time and memory to those of nginx: shorter is better</title>',
    `<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>`,
    text(12, 26, 'CPU time or memory, nginx = 1', 'start'),
    ...legend,
    `<line x1="${nginx.toFixed(1)}" x2="${nginx.toFixed(1)}" y1="${HEAD_HEIGHT - 8}" y2="${y - 8}" stroke="#d0d7de" stroke-dasharray="3 3"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function text(x: number, y: number, words: string, anchor: 'start' | 'end'): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped}</text>`;
}
