/** Turns that one worker of this host has at a time, by name; they are had in the order asked for. */
export class HostTurns {
  readonly #queues = new Map<string, Waiting[]>();

  /** Resolves when it is that worker's turn, until which it asks no second time. */
  take(name: string, worker: object): Promise<void> {
    return new Promise((resume) => {
      const queue = this.#queues.get(name) ?? [];
      this.#queues.set(name, queue);
      if (queue.push({ worker, resume }) === 1) resume();
    });
  }

  /** That worker has had its turn, or does not want it any more. */
  give(name: string, worker: object): void {
    const queue = this.#queues.get(name);
    if (queue === undefined) return;
    const [first] = queue;
    const rest = queue.filter((waiting) => waiting.worker !== worker);
    if (rest.length === 0) this.#queues.delete(name);
    else this.#queues.set(name, rest);
    if (rest[0] !== first) rest[0]?.resume();
  }

  /** A worker has ended: nobody waits for it. */
  forget(worker: object): void {
    for (const name of [...this.#queues.keys()]) this.give(name, worker);
  }
}

interface Waiting {
  readonly worker: object;
  readonly resume: () => void;
}
