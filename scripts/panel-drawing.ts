import { legend, type Panel } from '../test/deploy/dashboard.js';
import type { Series } from '../test/support/servers/prometheus-server.js';

/** Pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The time that a panel shows, in seconds since the epoch. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

interface Line {
  readonly name: string;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

const PALETTE = ['#73bf69', '#f2cc0c', '#5794f2', '#ff9830', '#b877d9', '#f2495c', '#8ab8ff', '#c8f2c2'];
const COLORS: Readonly<Record<string, string>> = {
  blue: '#5794f2',
  green: '#3f9c4c',
  orange: '#ff9830',
  red: '#e02f44',
  text: '#ccccdc',
};
const MUTED = '#8e8e9a';
const TITLE_HEIGHT = 30;
const LEGEND_HEIGHT = 36;
const AXIS_WIDTH = 52;
const CHARACTER_WIDTH = 6.6;

/** One panel as SVG. @param answers what each of its queries returned, in their order. */
export function drawPanel(
  panel: Panel,
  answers: readonly (readonly Series[])[],
  box: Box,
  span: Span,
): string {
  if (panel.type === 'row')
    return text(box.x + 4, box.y + box.height - 8, panel.title, 'font-weight="600" font-size="15"');
  const lines = (panel.targets ?? []).flatMap(({ legendFormat }, index) =>
    (answers[index] ?? []).map(({ labels, points }) => ({ name: legend(legendFormat, labels), points })),
  );
  const drawn: Record<Exclude<Panel['type'], 'row'>, () => string> = {
    stat: () => stat(panel, lines, box),
    timeseries: () => timeSeries(panel, lines, box, span),
    'state-timeline': () => stateTimeline(panel, lines, box, span),
    bargauge: () => barGauge(lines, box),
  };
  const frame = `<rect x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" rx="3" fill="#181b1f" stroke="#2a2d33"/>`;
  return frame + text(box.x + 10, box.y + 20, panel.title, 'font-weight="500"') + drawn[panel.type]();
}

function stat({ fieldConfig }: Panel, lines: readonly Line[], box: Box): string {
  const { unit = '', thresholds } = fieldConfig.defaults;
  const last = lines[0]?.points.findLast(([, value]) => Number.isFinite(value))?.[1];
  const step = thresholds?.steps.findLast(({ value }) => value === null || (last ?? 0) >= value);
  const style = `font-size="34" font-weight="600" text-anchor="middle" fill="${COLORS[step?.color ?? 'text']}"`;
  const shown = last === undefined ? 'No data' : quantity(last, unit);
  return text(box.x + box.width / 2, box.y + box.height - 26, shown, style);
}

function timeSeries({ fieldConfig }: Panel, lines: readonly Line[], box: Box, span: Span): string {
  const { unit = '', max, custom } = fieldConfig.defaults;
  const stacked = custom?.stacking?.mode === 'normal';
  const shown = stacked ? stack(lines) : lines;
  const values = shown.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite);
  const highest = Math.max(...values, 0);
  const base = unit === 'bytes' ? 1024 ** Math.floor(Math.log(Math.max(highest, 1)) / Math.log(1024)) : 1;
  const top = max ?? niceAbove(highest / base) * base;
  const plot = plotOf(box);
  const xOf = (seconds: number) => plot.x + ((seconds - span.from) / (span.to - span.from)) * plot.width;
  const yOf = (value: number) => plot.y + plot.height * (1 - value / top);
  const baseline = yOf(0);
  const curves = shown.map(({ points }, index) => {
    const color = PALETTE[index % PALETTE.length] ?? '';
    const below = stacked ? shown[index - 1]?.points : undefined;
    return runs(points)
      .map((run) => {
        const along = run.map(([seconds, value]) => `${round(xOf(seconds))},${round(yOf(value))}`);
        if (custom?.drawStyle === 'bars')
          return run
            .filter(([, value]) => value > 0)
            .map(
              ([s, v]) =>
                `<rect x="${round(xOf(s))}" y="${round(yOf(v))}" width="2" height="${round(baseline - yOf(v))}" fill="${color}"/>`,
            )
            .join('');
        const floor = run.map(([seconds], i) => {
          const under = below?.[points.indexOf(run[i] ?? [0, 0])]?.[1];
          return `${round(xOf(seconds))},${round(under === undefined || Number.isNaN(under) ? baseline : yOf(under))}`;
        });
        const area = `<polygon points="${[...along, ...floor.reverse()].join(' ')}" fill="${color}" opacity="${stacked ? 0.4 : 0.08}"/>`;
        return `${area}<polyline points="${along.join(' ')}" fill="none" stroke="${color}" stroke-width="1.3"/>`;
      })
      .join('');
  });
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const y = round(yOf(part * top));
    const label = text(
      plot.x - 6,
      y + 4,
      quantity(part * top, unit),
      `font-size="11" text-anchor="end" fill="${MUTED}"`,
    );
    return `<line x1="${plot.x}" x2="${plot.x + plot.width}" y1="${y}" y2="${y}" stroke="#26292e"/>${label}`;
  });
  const names = lines.map(({ name }, index) => [name, PALETTE[index % PALETTE.length] ?? ''] as const);
  return grid.join('') + curves.join('') + timeAxis(plot, span) + legendOf(names, box);
}

function stateTimeline({ fieldConfig }: Panel, lines: readonly Line[], box: Box, span: Span): string {
  const options = fieldConfig.defaults.mappings[0]?.options ?? {};
  const plot = { ...plotOf(box), height: box.height - TITLE_HEIGHT - 24 };
  const height = plot.height / Math.max(lines.length, 1);
  const xOf = (seconds: number) => plot.x + ((seconds - span.from) / (span.to - span.from)) * plot.width;
  const bands = lines.map(({ name, points }, index) => {
    const y = plot.y + index * height;
    const changes = points.filter(([, value], i) => value !== points[i - 1]?.[1]);
    const cells = changes.map(([seconds, value], i) => {
      const end = changes[i + 1]?.[0] ?? span.to;
      const color = COLORS[options[String(value)]?.color ?? 'text'];
      return `<rect x="${round(xOf(seconds))}" y="${round(y + 2)}" width="${round(xOf(end) - xOf(seconds))}" height="${round(height - 4)}" fill="${color}"/>`;
    });
    const shown = options[String(points.at(-1)?.[1])]?.text ?? '';
    const label = text(plot.x + 6, y + height / 2 + 4, `${name}: ${shown}`, 'font-size="11" fill="#ffffff"');
    return cells.join('') + label;
  });
  return bands.join('') + timeAxis(plot, span);
}

function barGauge(lines: readonly Line[], box: Box): string {
  const ranked = lines.map(({ name, points }) => [name, points.at(-1)?.[1] ?? 0] as const);
  const top = Math.max(...ranked.map(([, value]) => value), 1);
  const height = Math.min(30, (box.height - TITLE_HEIGHT - 10) / Math.max(ranked.length, 1));
  return ranked
    .map(([name, value], index) => {
      const y = box.y + TITLE_HEIGHT + 6 + index * height;
      const width = (box.width - 170) * (value / top);
      const bar = `<rect x="${box.x + 110}" y="${y}" width="${round(width)}" height="${round(height - 6)}" fill="${PALETTE[index % PALETTE.length]}" opacity="0.7"/>`;
      const label = text(box.x + 102, y + height / 2 + 1, name, 'font-size="12" text-anchor="end"');
      return (
        bar +
        label +
        text(box.x + 118 + width, y + height / 2 + 1, quantity(value, 'short'), 'font-size="12"')
      );
    })
    .join('');
}

function plotOf({ x, y, width, height }: Box): Box {
  return {
    x: x + AXIS_WIDTH,
    y: y + TITLE_HEIGHT,
    width: width - AXIS_WIDTH - 12,
    height: height - TITLE_HEIGHT - LEGEND_HEIGHT - 16,
  };
}

function timeAxis({ x, y, width, height }: Box, { from, to }: Span): string {
  return [0, 0.25, 0.5, 0.75, 1]
    .map((part) => {
      const seconds = Math.round(part * (to - from));
      const label = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
      return text(
        x + part * width,
        y + height + 14,
        label,
        `font-size="10" text-anchor="middle" fill="${MUTED}"`,
      );
    })
    .join('');
}

/** Two lines of names at most. */
function legendOf(names: readonly (readonly [name: string, color: string])[], box: Box): string {
  let [x, row] = [box.x + 10, 0];
  let drawn = '';
  for (const [name, color] of names) {
    const width = 22 + name.length * CHARACTER_WIDTH;
    if (x + width > box.x + box.width - 6) [x, row] = [box.x + 10, row + 1];
    if (row > 1) break;
    const y = box.y + box.height - LEGEND_HEIGHT + 14 + row * 15;
    drawn += `<rect x="${x}" y="${y - 5}" width="12" height="3" fill="${color}"/>`;
    drawn += text(x + 16, y, name, `font-size="11" fill="${MUTED}"`);
    x += width;
  }
  return drawn;
}

/** Each line with the ones before it added, where they have a value at the same time. */
function stack(lines: readonly Line[]): readonly Line[] {
  const seconds = [...new Set(lines.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const heights = new Map(seconds.map((at) => [at, 0]));
  return lines.map(({ name, points }) => {
    const own = new Map(points);
    for (const [at, height] of heights) heights.set(at, height + (own.get(at) || 0));
    return { name, points: [...heights] };
  });
}

/** The stretches in which a line has values. */
function runs(points: Line['points']): readonly Line['points'][] {
  const found: (readonly [number, number])[][] = [[]];
  for (const each of points) {
    if (Number.isFinite(each[1])) found.at(-1)?.push(each);
    else found.push([]);
  }
  return found.filter(({ length }) => length > 0);
}

/** 1, 2, 4 or 5 times a power of ten. */
function niceAbove(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 5].find((each) => each * power >= value) ?? 10) * power;
}

function quantity(value: number, unit: string): string {
  switch (unit) {
    case 's':
      return value < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`;
    case 'percentunit':
      return `${short(value * 100)} %`;
    case 'bytes':
      return `${scaled(value, 1024)}B`;
    case 'Bps':
      return `${scaled(value, 1000)}B/s`;
    case 'cps':
      return `${scaled(value, 1000)}/s`;
    default:
      return scaled(value, 1000);
  }
}

function scaled(value: number, base: number): string {
  const step = value < base ? 0 : Math.min(3, Math.floor(Math.log(value) / Math.log(base)));
  return `${short(value / base ** step)} ${['', 'k', 'M', 'G'][step]}`.trimEnd();
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function text(x: number, y: number, content: string, style: string): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${round(y)}" ${style}>${escaped}</text>`;
}
