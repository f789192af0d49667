import { type Cancellation, cancelled } from './cancellation.js';

/** Bounds the dials under way to one endpoint; more wait for their turn in the order they came. */
export class DialTurns {
  #underWay = 0;
  readonly #waiting = new Set<() => void>();

  /** @param limit dials at once, ≥ 1. */
  constructor(readonly limit: number) {}

  /**
   * Takes a turn, which must be given back.
   * @returns undefined: it was taken at once. Else it resolves with whether it came within the time.
   * @throws GatewayError ERR_DIAL_CANCELLED, by rejecting; nothing is to be given back then.
   */
  take(withinMs: number, cancellation: Cancellation | undefined): Promise<boolean> | undefined {
    if (this.#underWay < this.limit) {
      this.#underWay++;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      if (cancellation?.cancelled) return reject(cancelled());
      const end = (): void => {
        clearTimeout(timer);
        cancellation?.watch(undefined);
        this.#waiting.delete(turn);
      };
      const turn = (): void => {
        end();
        resolve(true);
      };
      const timer = setTimeout(() => {
        end();
        resolve(false);
      }, withinMs);
      cancellation?.watch(() => {
        end();
        reject(cancelled());
      });
      this.#waiting.add(turn);
    });
  }

  give(): void {
    const [next] = this.#waiting;
    // The turn passes to the next in the queue.
    if (next === undefined) this.#underWay--;
    else next();
  }
}
