import type { Budget, Ledger, Mail, Settlement } from '../ratelimit/lease-ledger.js';
import type { SupervisorDuties, WorkerDuties } from './duties.js';
import type { Link } from './link.js';

/** Longest wait for an answer, as for Redis. */
const ANSWER_MS = 500;
/** A holder shows life this often, several times before it would count as dead. */
const LIFE_MS = 1_000;
const NO_MAIL: Mail = new Map();

/**
 * The ledger that the supervisor keeps for its workers, seen from one of them. Mail is looked for many times
 * a second: the supervisor says when there is some, so that looking costs nothing.
 */
export class HostLedger implements Ledger {
  readonly #link: Link<WorkerDuties, SupervisorDuties>;
  #holder = '';
  #hasMail: boolean = false;
  #readMs = 0;

  constructor(link: Link<WorkerDuties, SupervisorDuties>) {
    this.#link = link;
    link.offer({
      mailCame: () => {
        this.#hasMail = true;
      },
    });
  }

  get up(): boolean {
    return this.#link.connected;
  }

  settle(...args: [Budget, string, number, number, (readonly string[])?]): Promise<Settlement> {
    return this.#link.ask('settle', args, ANSWER_MS);
  }

  readMail(holder: string): Promise<Mail | undefined> {
    const nowMs = performance.now();
    if (holder === this.#holder && !this.#hasMail && nowMs - this.#readMs < LIFE_MS) {
      return Promise.resolve(NO_MAIL);
    }
    this.#holder = holder;
    this.#hasMail = false;
    this.#readMs = nowMs;
    return this.#link.ask('readMail', [holder], ANSWER_MS);
  }

  retire(holder: string): Promise<void> {
    return this.#link.ask('retire', [holder], ANSWER_MS);
  }

  sendMail(holder: string, budget: Budget, keep: number): Promise<boolean> {
    return this.#link.ask('sendMail', [holder, budget, keep], ANSWER_MS);
  }
}
