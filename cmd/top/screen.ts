import { printable } from '../line/words.js';
import type { Sample } from './sample.js';

const NAME_CHARS = 48;
const LEAST_NAME_CHARS = 9;
const CELL_CHARS = 10;
/** Cells of the widest table, beside the name. */
const MOST_CELLS = 3;

/**
 * What is shown of two looks, one after the other.
 * @param rows of each table.
 * @param columns that a line may have
 */
export function screenOf(url: string, before: Sample, now: Sample, rows: number, columns: number): string[] {
  const room = columns - MOST_CELLS * CELL_CHARS - 1;
  const nameChars = Math.max(LEAST_NAME_CHARS, Math.min(NAME_CHARS, room));
  const row = (name: string, ...cells: readonly (string | number)[]) => rowOf(nameChars, name, cells);
  const table = (counts: ReadonlyMap<string, number>) =>
    [...counts]
      .sort(([, a], [, b]) => b - a)
      .slice(0, rows)
      .map(([name, number]) => row(name, number));
  const seconds = (now.atMs - before.atMs) / 1000;
  const rate = (name: keyof Sample['totals']) =>
    Math.max(0, (now.totals[name] - before.totals[name]) / seconds);
  const [up, down] = ['client_to_upstream', 'upstream_to_client'] as const;
  const lines = [
    `ws-gateway top  ${printable(url)}`,
    `sessions ${now.sessions}   opened/s ${short(rate('ws_connections_total'))}   ended/s ${short(rate('ws_session_closed_total'))}`,
    `messages/s  in ${short(rate(`ws_messages_total{direction="${up}"`))}   out ${short(rate(`ws_messages_total{direction="${down}"`))}`,
    `bytes/s     in ${short(rate(`ws_bytes_total{direction="${up}"`))}   out ${short(rate(`ws_bytes_total{direction="${down}"`))}`,
    '',
    row('UPSTREAM', 'CIRCUIT', 'FAULTS', 'SESSIONS'),
    ...now.upstreams
      .toSorted((a, b) => b.sessions - a.sessions)
      .slice(0, rows)
      .map(({ upstream, circuit, faults, sessions }) => row(upstream, circuit, faults, sessions)),
    '',
    row('ROUTE', 'SESSIONS'),
    ...table(now.byRoute),
    '',
    row('SUBJECT', 'SESSIONS'),
    ...table(now.bySub),
    ...(now.more ? ['', 'routes and subjects: of the first sessions only, there are more'] : []),
  ];
  return lines.map((line) => line.slice(0, columns));
}

function rowOf(nameChars: number, name: string, cells: readonly (string | number)[]): string {
  const shown = printable(name);
  const cut = shown.length > nameChars ? `${shown.slice(0, nameChars - 1)}…` : shown;
  return [cut.padEnd(nameChars + 1), ...cells.map((cell) => String(cell).padStart(CELL_CHARS))]
    .join('')
    .trimEnd();
}

/** 950, 12.3k, 4.5M */
function short(value: number): string {
  for (const [size, unit] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (value >= size) return `${(value / size).toFixed(1)}${unit}`;
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}
