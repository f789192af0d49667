/** Slots by key that the workers of this host share, if there is no store to share them through. */
export class HostSlots {
  /** Holders by key, each with its worker. */
  readonly #holders = new Map<string, Map<string, object>>();

  /** See `SlotStore.take`; a slot is held until it is given back, or its worker has ended. */
  take(key: string, holder: string, limit: number, worker: object): boolean {
    const holders = this.#holders.get(key) ?? new Map<string, object>();
    if (!holders.has(holder) && holders.size >= limit) return false;
    this.#holders.set(key, holders.set(holder, worker));
    return true;
  }

  leave(key: string, holder: string): void {
    const holders = this.#holders.get(key);
    if (holders?.delete(holder) === true && holders.size === 0) this.#holders.delete(key);
  }

  /** A worker has ended, and its sessions with it. */
  forget(worker: object): void {
    for (const [key, holders] of this.#holders)
      for (const [holder, its] of holders) if (its === worker) this.leave(key, holder);
  }
}
