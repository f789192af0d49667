import type { Outcome } from './job.js';

/** All rounds of one target in one case. */
export interface Measured {
  readonly case: string;
  readonly target: string;
  readonly rounds: readonly Outcome[];
}

const FIELDS = [
  'cpuMicros',
  'messagesPerSecond',
  'busy',
  'p50Micros',
  'p99Micros',
  'bytesPerSession',
  'wireBytes',
  'resumed',
] as const satisfies readonly (keyof Outcome)[];

/** What is said of a target in a case. */
export interface Figures extends Outcome {
  /**
   * The p99 that the calmest quarter of the turns stays within: what the machine does besides, be it in most
   * of them, only ever makes messages later.
   */
  readonly calmP99Micros?: number;
}

/** The median of every field over the rounds that have it. */
export function medians(rounds: readonly Outcome[]): Figures {
  const figures: Figures = Object.fromEntries(
    FIELDS.flatMap((field) => {
      const value = median(rounds.flatMap((round) => round[field] ?? []));
      return value === undefined ? [] : [[field, value]];
    }),
  );
  const calmP99Micros = calmest(rounds.flatMap(({ p99Micros }) => p99Micros ?? []));
  return calmP99Micros === undefined ? figures : { ...figures, calmP99Micros };
}

function calmest(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length / 4) - 1];
}

export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

/** A table for each case; ratios are to nginx. */
export function printReport(results: readonly Measured[]): void {
  for (const name of new Set(results.map((result) => result.case))) {
    const rows = results
      .filter((result) => result.case === name && result.rounds.length > 0)
      .map(({ target, rounds }) => ({ target, outcome: medians(rounds) }));
    const nginx = rows.find((row) => row.target === 'nginx')?.outcome ?? {};
    const tls = results.find((result) => result.case === name)?.rounds.find((round) => round.tls)?.tls;
    console.log(`\n${name}${tls === undefined ? '' : ` (${tls})`}`);
    console.table(Object.fromEntries(rows.map(({ target, outcome }) => [target, cells(outcome, nginx)])));
  }
}

function cells(outcome: Figures, nginx: Outcome): Record<string, string> {
  const { cpuMicros, messagesPerSecond, busy, p50Micros, p99Micros, bytesPerSession } = outcome;
  const { calmP99Micros, wireBytes, resumed } = outcome;
  const ratio = ratioToNginx(outcome, nginx);
  return {
    ...(cpuMicros === undefined ? {} : { 'CPU µs': cpuMicros.toFixed(cpuMicros < 10 ? 2 : 1) }),
    ...(bytesPerSession === undefined ? {} : { 'KB a session': (bytesPerSession / 1024).toFixed(1) }),
    ...(ratio === undefined ? {} : { 'to nginx': typeof ratio === 'number' ? ratio.toFixed(2) : ratio }),
    ...(messagesPerSecond === undefined ? {} : { 'messages/s': messagesPerSecond.toFixed(0) }),
    ...(busy === undefined ? {} : { 'core busy': `${(busy * 100).toFixed(0)} %` }),
    ...(p50Micros === undefined ? {} : { 'p50 µs': p50Micros.toFixed(0) }),
    ...(p99Micros === undefined ? {} : { 'p99 µs': p99Micros.toFixed(0) }),
    ...(calmP99Micros === undefined ? {} : { 'p99 µs, calm': calmP99Micros.toFixed(0) }),
    ...(wireBytes === undefined ? {} : { 'B an echo': wireBytes.toFixed(0) }),
    ...(resumed === undefined ? {} : { resumed: `${(resumed * 100).toFixed(0)} %` }),
  };
}

/** Below this share of its core a proxy had time to spare: what a message costs it is another question. */
const MIN_BUSY = 0.9;

/** CPU time, or memory, to nginx's; none of proxies that were not under full load. */
export function ratioToNginx(outcome: Outcome, nginx: Outcome): number | 'not saturated' | undefined {
  const value = outcome.cpuMicros ?? outcome.bytesPerSession;
  const base = nginx.cpuMicros ?? nginx.bytesPerSession;
  if (value === undefined || base === undefined) return undefined;
  if ([outcome, nginx].some(({ busy = 1 }) => busy < MIN_BUSY)) return 'not saturated';
  return value / base;
}
