import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { corpusOf } from '../fuzz/corpus.js';
import { fuzz } from '../fuzz/engine.js';
import { TARGETS } from '../fuzz/targets.js';

const SEED = 20_261_128;
/** Half a second of work; YAML takes its time, and so do connections. */
const EXECUTIONS = 2_000;
const SLOW_EXECUTIONS = 250;
const SLOW: ReadonlySet<string> = new Set(['routes', 'http-connection']);

describe('readers of hostile bytes', () => {
  for (const target of TARGETS)
    it(`${target.name} holds for made-up bytes`, async (t) => {
      const enough = SLOW.has(target.name) ? SLOW_EXECUTIONS : EXECUTIONS;
      const report = await fuzz(target, {
        seed: SEED,
        corpus: corpusOf(target.name),
        goesOn: (executions) => executions < enough,
      });
      t.diagnostic(`seed ${SEED}: ${report.executions} executions, ${report.kinds} kinds of case`);
      for (const { input, error } of report.findings) {
        t.diagnostic(`input ${input.toString('hex')}`);
        throw error;
      }
      assert.ok(report.kinds > 2, 'the corpus reaches nothing');
    });
});
