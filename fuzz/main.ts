/**
 * npm run fuzz: throws made-up bytes at the readers of hostile input. `--target NAME` (all by
 * turns), `--seconds N` each, `--seed S`; `--input FILE` asks one target about one input. Exits 1
 * when something was found.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readOptions, WEEK_SECONDS } from '../bench/options.js';
import { corpusOf } from './corpus.js';
import { Coverage } from './coverage.js';
import { type Finding, fuzz } from './engine.js';
import { faultOf } from './reproducer.js';
import type { Target } from './target.js';
import { TARGETS } from './targets.js';

const FINDINGS = 'fuzz/findings';

const {
  values: options,
  whole,
  decimal,
  wrong,
} = readOptions(
  `fuzz -- [--target NAME] [--seconds N] [--seed N] [--input FILE]\ntargets: ${TARGETS.map(({ name }) => name).join(', ')}`,
  {
    target: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    input: { type: 'string' },
  },
);
const targets = TARGETS.filter(({ name }) => options.target === undefined || name === options.target);
const seconds = decimal('seconds', options.seconds, 0.1, WEEK_SECONDS);
const seed = whole('seed', options.seed, 0);
if (targets.length === 0) wrong(`--target ${JSON.stringify(options.target)} is none`);

for (const target of targets) {
  const isGood = options.input === undefined ? await run(target) : await again(target, options.input);
  if (!isGood) process.exitCode = 1;
}

async function again(target: Target, file: string): Promise<boolean> {
  const fault = await faultOf(target, bytesOf(file));
  console.log(fault === undefined ? `${target.name}: all holds` : fault.error);
  return fault === undefined;
}

function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return wrong(`--input ${JSON.stringify(file)} cannot be read`);
  }
}

async function run(target: Target): Promise<boolean> {
  const coverage = new Coverage();
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1_000;
  let nextLine = 1;
  console.log(`${target.name}: seed ${seed}`);
  const report = await fuzz(target, {
    seed,
    corpus: corpusOf(target.name),
    coverage,
    goesOn: (executions) => {
      if (elapsed() >= nextLine) {
        console.log(`  ${elapsed().toFixed(0)} s: ${executions} executions, ${coverage.blocks} blocks`);
        nextLine = Math.max(elapsed(), nextLine * 2);
      }
      return elapsed() < seconds;
    },
    onFinding: (finding) => console.log(`  FOUND ${written(target, finding)}\n`, finding.error),
  });
  coverage.stop();
  console.log(
    `${target.name}: ${report.executions} executions, ${coverage.blocks} blocks, ${report.kinds} kinds of case, ` +
      `${report.corpus.length} inputs kept, ${report.findings.length} findings`,
  );
  return report.findings.length === 0;
}

/** @returns how to see it again. */
function written({ name }: Target, { input }: Finding): string {
  mkdirSync(FINDINGS, { recursive: true });
  const file = `${FINDINGS}/${name}-${seed}-${Date.now()}`;
  writeFileSync(file, input);
  return `npm run fuzz -- --target ${name} --input ${file}`;
}
