import type { Storm } from './crowd.js';
import type { Echoes } from './quiet-sessions.js';
import type { Dials } from './slow-broker.js';

/** What a storm did. */
export interface StormFound {
  readonly name: string;
  readonly storm: Storm;
  /** Of the sessions that stayed, from the first knock until the last client was in. */
  readonly echoes: Echoes;
  /** Of the gateway when all were in, and when they had gone. */
  readonly fullBytes: number;
  readonly emptyBytes: number;
}

export interface Found {
  readonly environment: Readonly<Record<string, string | number | undefined>>;
  /** Of the gateway before the first storm. */
  readonly emptyBytes: number;
  /** Of the sessions that stayed, while nobody came. */
  readonly rest: Echoes;
  readonly storms: readonly StormFound[];
  /** By the slow upstream. */
  readonly seen: Dials;
}

/** All that the bench found; the output of `--json`. */
export interface Report extends Found {
  readonly problems: readonly string[];
}

/** Times its p99 at rest that an echo may take while others come. */
const P99_TIMES = 5;
/**
 * What a process may hold beyond what it held at first, when those who came have gone: what is kept on
 * purpose, the tokens of 5,000 subjects in the cache and their budgets, some 10 MB, and code that has been
 * compiled since. From storm to storm it may not grow by more than a part of that.
 */
const KEPT_BYTES = 40_000_000;
const GROWTH_BYTES = 20_000_000;

/** @returns what is not as it should be. */
export function judge({ rest, storms, seen, emptyBytes }: Found, allowedDials: number): string[] {
  const problems: string[] = [];
  for (const { name, storm, echoes, ...memory } of storms) {
    if (storm.lost > 0) problems.push(`${name}: ${storm.lost} clients were in and lost their connection`);
    if (echoes.lost > 0) problems.push(`${name}: ${echoes.lost} of the sessions that stayed were lost`);
    if (echoes.p99Ms > P99_TIMES * rest.p99Ms)
      problems.push(
        `${name}: p99 of an echo ${echoes.p99Ms.toFixed(2)} ms, at rest ${rest.p99Ms.toFixed(2)} ms`,
      );
    if (memory.emptyBytes > emptyBytes + KEPT_BYTES)
      problems.push(
        `${name}: ${megabytes(memory.emptyBytes)} MB when all had gone, ${megabytes(emptyBytes)} MB before`,
      );
  }
  const [first, last] = [storms[0], storms.at(-1)];
  if (first !== undefined && last !== undefined && last.emptyBytes > first.emptyBytes + GROWTH_BYTES)
    problems.push(
      `memory grows from storm to storm: ${megabytes(first.emptyBytes)}, ${megabytes(last.emptyBytes)} MB`,
    );
  if (seen.mostAtOnce > allowedDials)
    problems.push(`the slow upstream saw ${seen.mostAtOnce} dials at once, allowed are ${allowedDials}`);
  return problems;
}

export function printReport(report: Report): void {
  const { rest, storms, seen, emptyBytes, problems } = report;
  console.log(report.environment);
  console.log(
    '\n| storm | came within, s | half in, s | all in, s | came back | tries | echo p50, ms | p99 | ÷ rest | largest | MB full | MB after |',
  );
  console.log(`| ${'--- | '.repeat(12).trim()}`);
  const row = (cells: readonly (string | number)[]): void => console.log(`| ${cells.join(' | ')} |`);
  row(['none', '', '', '', '', '', ...echo(rest, rest), '', megabytes(emptyBytes)]);
  for (const { name, storm, echoes, fullBytes, emptyBytes } of storms) {
    const times = [storm.cameMs, storm.halfInMs, storm.allInMs].map((ms) => (ms / 1000).toFixed(1));
    row([
      ...[name, ...times, storm.cameBack, storm.mostTries],
      ...[...echo(echoes, rest), megabytes(fullBytes), megabytes(emptyBytes)],
    ]);
  }
  console.log('');
  for (const { name, storm } of storms) {
    const refused = Object.entries(storm.refused).map(([how, times]) => `${times} × ${how}`);
    console.log(
      `${name}: ${refused.length === 0 ? 'nobody was turned away' : `turned away ${refused.join(', ')}`}`,
    );
  }
  console.log(`the slow upstream was dialled ${seen.dials} times, ${seen.mostAtOnce} at once at most`);
  console.log(
    problems.length === 0 ? 'all as it should be' : `NOT as it should be:\n  ${problems.join('\n  ')}`,
  );
}

function echo({ p50Ms, p99Ms, maxMs }: Echoes, rest: Echoes): string[] {
  return [p50Ms.toFixed(2), p99Ms.toFixed(2), (p99Ms / rest.p99Ms).toFixed(1), maxMs.toFixed(1)];
}

/** Of 1,000,000 bytes. */
function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(0);
}
