/** Mints at once in this process: each may be a process of its own. */
const MAX_AT_ONCE = 16;

/** Turns over all workers of this host, one at a time for each name. */
export interface HostTurns {
  /** Resolves when the turn is had; to be given back. Not to be asked for twice at once. */
  take(name: string): Promise<void>;
  give(name: string): void;
}

/** One mint at a time for each subject, and not too many in all; who has to wait is served in order. */
export class MintTurns {
  /** The last of each subject's that is under way or waits. */
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  /** @param host undefined: this process is the whole gateway. */
  constructor(readonly host: HostTurns | undefined) {}

  /** Does the work when its turn comes, and settles as it does. */
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
    // The place goes from hand to hand.
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
