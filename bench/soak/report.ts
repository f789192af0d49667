import type { Sample } from './sampler.js';
import { curve } from './trend.js';
import type { MemoryVerdict } from './verdict.js';

interface Footprint {
  readonly files: number;
  readonly rssBytes: number;
}

/** All that a soak found; the output of `--json`. */
export interface Report {
  readonly environment: Readonly<Record<string, string | number>>;
  readonly samples: readonly Sample[];
  readonly visits: number;
  readonly echoes: number;
  readonly closes: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
  readonly before: Footprint;
  readonly after: Footprint;
  readonly memory: readonly MemoryVerdict[];
  readonly problems: readonly string[];
  readonly ok: boolean;
}

const COLUMNS = ['s', 'RSS MB', 'heap MB', 'external', 'files', 'sessions', 'buffered KB', 'p99 ms', 'CPU'];
const WIDTH = 12;
let lines = 0;

export function printSample(sample: Sample): void {
  if (lines++ % 30 === 0) console.log(row(COLUMNS));
  console.log(
    row([
      sample.seconds.toFixed(0),
      megabytes(sample.rssBytes),
      megabytes(sample.heapBytes),
      megabytes(sample.externalBytes),
      String(sample.files),
      String(sample.sessions),
      (sample.bufferedBytes / 1000).toFixed(0),
      sample.loopP99Ms.toFixed(1),
      `${(sample.cpu * 100).toFixed(0)} %`,
    ]),
  );
}

export function printReport(report: Report): void {
  const { samples, before, after, memory, problems } = report;
  console.log(`\nRSS of the gateway, MB, over ${report.environment.minutes} minutes`);
  console.log(
    curve(
      samples.map(({ rssBytes }) => rssBytes),
      megabytes,
    ),
  );
  console.log('\nheap, MB');
  console.log(
    curve(
      samples.map(({ heapBytes }) => heapBytes),
      megabytes,
    ),
  );
  console.log();
  console.log(report.environment);
  console.log({
    'visits of clients that come and go': report.visits,
    'messages that came back in order': report.echoes,
    'closed by the gateway': report.closes,
    faults: tally(report.faults),
    'RSS before, at the last sample, after, MB': [
      before.rssBytes,
      samples.at(-1)?.rssBytes ?? 0,
      after.rssBytes,
    ]
      .map(megabytes)
      .join(', '),
    'descriptors before and after': `${before.files}, ${after.files}`,
  });
  for (const { what, trend, meanBytes, toleranceBytes, judged, flat } of memory) {
    const verdict = judged ? (flat ? 'flat' : 'NOT FLAT') : 'too short a run to judge';
    console.log(
      `${what}: ${megabytes(trend.growth)} MB over the last two thirds (${megabytes(trend.perHour)} MB an hour) ` +
        `at a mean of ${megabytes(meanBytes)} MB, ${megabytes(toleranceBytes)} MB allowed: ${verdict}`,
    );
  }
  for (const problem of problems.slice(0, 20)) console.log(`PROBLEM ${problem}`);
  if (problems.length > 20) console.log(`… and ${problems.length - 20} more`);
  console.log(report.ok ? 'ok' : 'FAILED');
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function row(cells: readonly string[]): string {
  return cells.map((cell) => cell.padStart(WIDTH)).join('');
}

/** Of 1,000,000 bytes. */
function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}
