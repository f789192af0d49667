/** Locks by name among the workers of this host, granted in the order they are asked for. */
export class HostTurns {
  readonly #queues = new Map<string, Waiting[]>();

  /** Resolves when it is that worker's turn; not to be called again before that. */
  take(name: string, worker: object): Promise<void> {
    return new Promise((resume) => {
      const queue = this.#queues.get(name) ?? [];
      this.#queues.set(name, queue);
      if (queue.push({ worker, resume }) === 1) resume();
    });
  }

  /** Ends that worker's turn, or its wait for it. */
  give(name: string, worker: object): void {
    const queue = this.#queues.get(name);
    if (queue === undefined) return;
    const [first] = queue;
    const rest = queue.filter((waiting) => waiting.worker !== worker);
    if (rest.length === 0) this.#queues.delete(name);
    else this.#queues.set(name, rest);
    if (rest[0] !== first) rest[0]?.resume();
  }

  /** A worker has ended: so do its turns and waits. */
  forget(worker: object): void {
    for (const name of [...this.#queues.keys()]) this.give(name, worker);
  }
}

interface Waiting {
  readonly worker: object;
  readonly resume: () => void;
}
