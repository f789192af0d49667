import type { Budget, Ledger, Mail, Settlement } from './lease-ledger.js';

/**
 * The shared ledger of all replicas while it is up, else the one of this host. A switch voids all leases:
 * holders start again at the other ledger under new ids.
 */
export class FallbackLedger implements Ledger {
  readonly #first: Ledger;
  readonly #second: Ledger;
  #current: Ledger;

  constructor(first: Ledger, second: Ledger) {
    this.#first = first;
    this.#second = second;
    this.#current = second;
  }

  get up(): boolean {
    return this.#best.up;
  }

  settle(...args: [Budget, string, number, number, (readonly string[])?]): Promise<Settlement> {
    return this.#current.settle(...args);
  }

  async readMail(holder: string): Promise<Mail | undefined> {
    const best = this.#best;
    const changed = best !== this.#current;
    this.#current = best;
    const mail = await best.readMail(holder);
    return changed ? undefined : mail;
  }

  retire(holder: string): Promise<void> {
    return this.#current.retire(holder);
  }

  sendMail(holder: string, budget: Budget, keep: number): Promise<boolean> {
    return this.#current.sendMail(holder, budget, keep);
  }

  get #best(): Ledger {
    return this.#first.up ? this.#first : this.#second;
  }
}
