/** Mints at a time in this process, as each may start a command. */
const MAX_AT_ONCE = 16;

/** Turns among all workers of this host, one at a time for each name. */
export interface HostTurns {
  /** Resolves when it is this worker's turn, which ends with `give`. Not to be called again before that. */
  take(name: string): Promise<void>;
  give(name: string): void;
}

/** Allows one mint at a time for each subject, and `MAX_AT_ONCE` in all; others wait in order. */
export class MintTurns {
  /** The latest mint of each subject that is under way or waits. */
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  /** @param host undefined: this process is the whole gateway. */
  constructor(readonly host: HostTurns | undefined) {}

  /** Runs `work` when its turn comes, and settles with it. */
  async take<T>(sub: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(sub);
    const turn = before === undefined ? this.#run(sub, work) : before.then(() => this.#run(sub, work));
    const settled = turn.then(
      () => {},
      () => {},
    );
    this.#last.set(sub, settled);
    try {
      return await turn;
    } finally {
      if (this.#last.get(sub) === settled) this.#last.delete(sub);
    }
  }

  async #run<T>(sub: string, work: () => Promise<T>): Promise<T> {
    await this.host?.take(sub);
    try {
      return await this.#atOnce(work);
    } finally {
      this.host?.give(sub);
    }
  }

  async #atOnce<T>(work: () => Promise<T>): Promise<T> {
    // The one that ends hands its place on, so the count stays.
    if (this.#underWay >= MAX_AT_ONCE) await new Promise<void>((resume) => this.#waiting.push(resume));
    else this.#underWay++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#underWay--;
      else next();
    }
  }
}
