import { randomUUID } from 'node:crypto';
import type { PeerCall } from './peer-call.js';

/** Where nobody knows how many there are to answer, they have if none did for so long. */
const QUIET_MS = 500;

/**
 * One question to all processes that run: is what you remember on the list? A list can have lost it without
 * anybody having noticed yet (FLUSHALL, a restart without a disk), and who starts now knows nothing else.
 */
export class Inquiry {
  readonly id = randomUUID();
  readonly #call: (call: PeerCall) => Promise<number | undefined>;
  #answers = 0;
  #expected = Number.POSITIVE_INFINITY;
  #onAnswer: () => void = () => {};

  /** @param call calls to all; resolves to how many those are, if that can be known. */
  constructor(call: (call: PeerCall) => Promise<number | undefined>) {
    this.#call = call;
  }

  /** Another process has put back what was lost. */
  answered(): void {
    this.#answers++;
    this.#onAnswer();
  }

  /**
   * Resolves when all that run have answered, or after `limitMs`; to whether any did.
   * @throws GatewayError ERR_STORE
   */
  async ask(limitMs: number): Promise<boolean> {
    const endMs = performance.now() + limitMs;
    const heard = await this.#call({ kind: 'ask', id: this.id });
    // This process hears itself.
    this.#expected = heard === undefined ? Number.POSITIVE_INFINITY : heard - 1;
    for (;;) {
      const leftMs = endMs - performance.now();
      if (this.#answers >= this.#expected || leftMs <= 0) break;
      const patienceMs = heard === undefined ? Math.min(QUIET_MS, leftMs) : leftMs;
      const before = this.#answers;
      await this.#nextAnswer(patienceMs);
      if (this.#answers === before) break;
    }
    return this.#answers > 0;
  }

  #nextAnswer(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#onAnswer = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
