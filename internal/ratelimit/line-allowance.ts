import { TokenBucket } from './token-bucket.js';

const LINES_PER_SECOND = 10;
const LINES_AT_ONCE = 50;

/**
 * Anybody can be refused as often as he likes: beyond 10 lines a second, 50 at once, they are
 * counted instead of written.
 */
export class LineAllowance {
  readonly #bucket = new TokenBucket(LINES_PER_SECOND, LINES_AT_ONCE, performance.now());
  #unlogged = 0;

  /**
   * Asks for one line.
   * @returns what it has to say beside its own: how many before it were left out; undefined:
   *   this one is left out, too.
   */
  take(): { readonly unlogged: number | undefined } | undefined {
    if (!this.#bucket.take(performance.now())) {
      this.#unlogged++;
      return undefined;
    }
    const unlogged = this.#unlogged || undefined;
    this.#unlogged = 0;
    return { unlogged };
  }
}
