import { type Profiler, Session } from 'node:inspector';

/** Which blocks of the product's own code run, as V8 counts them. */
export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    this.#take();
  }

  /** Blocks that have run so far. */
  get blocks(): number {
    return this.#seen.size;
  }

  /**
   * Which of the runs since the last call reached a block that none had before.
   * @param again repeats one of them: a batch rarely reaches anything, and only then is it
   *   halved until it is found.
   */
  reachedNew(runs: number, again: (run: number) => void): readonly number[] {
    const wanted = new Set(this.#take().filter((block) => !this.#seen.has(block)));
    for (const block of wanted) this.#seen.add(block);
    const found: number[] = [];
    const search = (from: number, to: number) => {
      for (let run = from; run < to; run++) again(run);
      const reached = this.#take().filter((block) => wanted.has(block));
      if (reached.length === 0) return;
      if (to - from === 1) {
        found.push(from);
        for (const block of reached) wanted.delete(block);
        return;
      }
      const middle = (from + to) >> 1;
      search(from, middle);
      search(middle, to);
    };
    if (wanted.size > 0) search(0, runs);
    return found;
  }

  stop(): void {
    this.#session.disconnect();
  }

  /** Blocks that have run since the last time. */
  #take(): string[] {
    const blocks: string[] = [];
    this.#session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error !== null) throw error;
      for (const script of result) blocks.push(...blocksOf(script));
    });
    return blocks;
  }
}

function blocksOf({ url, functions }: Profiler.ScriptCoverage): string[] {
  if (!url.includes('/internal/') || url.startsWith('node:') || url.includes('/node_modules/')) return [];
  return functions.flatMap(({ ranges }) =>
    ranges
      .filter(({ count }) => count > 0)
      .map(({ startOffset, endOffset }) => `${url}:${startOffset}-${endOffset}`),
  );
}
