/**
 * npm run fuzz: throws made-up bytes at the readers of hostile input. `--target NAME` (all by
 * turns), `--seconds N` each, `--seed S`; `--input FILE` asks one target about one input. Exits 1
 * when something was found.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { corpusOf } from './corpus.js';
import { Coverage } from './coverage.js';
import { type Finding, fuzz } from './engine.js';
import { faultOf } from './reproducer.js';
import type { Target } from './target.js';
import { TARGETS } from './targets.js';

const FINDINGS = 'fuzz/findings';

const { values: options } = parseArgs({
  options: {
    target: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    input: { type: 'string' },
  },
});
const targets = TARGETS.filter(({ name }) => options.target === undefined || name === options.target);
const [seconds, seed] = [options.seconds, options.seed].map(Number);
if (targets.length === 0 || seconds === undefined || !(seconds > 0) || !Number.isSafeInteger(seed)) {
  console.error(
    `usage: npm run fuzz -- [--target NAME] [--seconds N] [--seed S] [--input FILE]; targets: ${TARGETS.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}

for (const target of targets) {
  const isGood = options.input === undefined ? await run(target) : await again(target, options.input);
  if (!isGood) process.exitCode = 1;
}

async function again(target: Target, file: string): Promise<boolean> {
  const fault = await faultOf(target, readFileSync(file));
  console.log(fault === undefined ? `${target.name}: all holds` : fault.error);
  return fault === undefined;
}

async function run(target: Target): Promise<boolean> {
  const coverage = new Coverage();
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1_000;
  let nextLine = 1;
  console.log(`${target.name}: seed ${seed}`);
  const report = await fuzz(target, {
    seed: seed ?? 0,
    corpus: corpusOf(target.name),
    coverage,
    goesOn: (executions) => {
      if (elapsed() >= nextLine) {
        console.log(`  ${elapsed().toFixed(0)} s: ${executions} executions, ${coverage.blocks} blocks`);
        nextLine = Math.max(elapsed(), nextLine * 2);
      }
      return elapsed() < (seconds ?? 0);
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
