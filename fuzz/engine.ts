import { bounded } from './bounded.js';
import type { Coverage } from './coverage.js';
import { mutated } from './mutators.js';
import { Random } from './random.js';
import { faultIn, shortened } from './reproducer.js';
import type { Target } from './target.js';

/** Inputs that are made before anybody looks what they have reached. */
const BATCH = 256;
/** Time for one batch, a second of work at most: whoever needs more goes on for ever. */
const BATCH_MS = 60_000;
/** Inputs that are kept. */
const MAX_CORPUS = 4_000;

/** An input for which something did not hold. */
export interface Finding {
  readonly input: Buffer;
  readonly error: Error;
}

export interface Report {
  readonly executions: number;
  /** Inputs worth keeping, those of the repository included. */
  readonly corpus: readonly Buffer[];
  /** Kinds of case that the target has told apart. */
  readonly kinds: number;
  readonly findings: readonly Finding[];
}

export interface FuzzOptions {
  readonly seed: number;
  /** To begin with; not empty. */
  readonly corpus: readonly Buffer[];
  /** undefined: the kinds of case alone tell what is new. */
  readonly coverage?: Coverage | undefined;
  /** Asked before each batch. */
  readonly goesOn: (executions: number) => boolean;
  readonly onFinding?: (finding: Finding) => void;
}

/**
 * Mutates inputs that have reached something new, and asks the target about each. The same seed and corpus
 * make the same inputs, as far as what they reach is the same. Of findings with one message the first counts.
 */
export async function fuzz(target: Target, options: FuzzOptions): Promise<Report> {
  const run = new Run(target, options);
  for (const input of options.corpus) await run.judge([input]);
  while (options.goesOn(run.executions)) await run.judge(run.made());
  const { executions, corpus, kinds, findings } = run;
  return { executions, corpus, kinds: kinds.size, findings: [...findings.values()] };
}

class Run {
  executions = 0;
  readonly corpus: Buffer[];
  readonly kinds = new Set<string>();
  readonly findings = new Map<string, Finding>();
  readonly #random: Random;
  readonly #words: readonly Buffer[];

  constructor(
    readonly target: Target,
    readonly options: FuzzOptions,
  ) {
    this.corpus = [...options.corpus];
    this.#random = new Random(options.seed);
    this.#words = target.words.map((word) => Buffer.from(word as Buffer));
  }

  /** The next inputs. */
  made(): readonly Buffer[] {
    const material = { words: this.#words, corpus: this.corpus };
    return Array.from({ length: BATCH }, () =>
      mutated(this.#random.pick(this.corpus), this.#random, material, this.target.maxBytes),
    );
  }

  async judge(batch: readonly Buffer[]): Promise<void> {
    const kept = new Set<number>();
    const faults = new Map<number, unknown>();
    let at = 0;
    const one = (index: number) => {
      at = index;
      try {
        if (this.#isNew(batch[index])) kept.add(index);
      } catch (error) {
        faults.set(index, error);
      }
    };
    try {
      bounded(() => {
        for (const index of batch.keys()) one(index);
      }, BATCH_MS);
    } catch (error) {
      faults.set(at, error);
    }
    this.executions += batch.length;
    if (faults.size === 0)
      for (const index of this.options.coverage?.reachedNew(batch.length, one) ?? []) kept.add(index);
    for (const [index, input] of batch.entries()) {
      if (!faults.has(index)) await this.target.compare?.(input).catch((error) => faults.set(index, error));
    }
    for (const [index, error] of faults) await this.#report(batch[index], error);
    this.corpus.push(...batch.filter((_, index) => kept.has(index) && !faults.has(index)));
    while (this.corpus.length > MAX_CORPUS) this.corpus.splice(this.#random.below(this.corpus.length), 1);
  }

  /** Whether it is the first of its kind. */
  #isNew(input: Buffer = Buffer.alloc(0)): boolean {
    // A copy: readers may write into what they are given.
    const kind = this.target.run(Buffer.from(input), Random.of(input));
    if (this.kinds.has(kind)) return false;
    this.kinds.add(kind);
    return true;
  }

  async #report(input: Buffer = Buffer.alloc(0), thrown: unknown): Promise<void> {
    const fault = faultIn(thrown);
    if (this.findings.has(fault.key)) return;
    const finding = { input: await shortened(this.target, input, fault), error: fault.error };
    this.findings.set(fault.key, finding);
    this.options.onFinding?.(finding);
  }
}
