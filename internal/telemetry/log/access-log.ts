import type { AccessChoice, Log } from './log.js';

/**
 * The lines that clients leave as they come and go. Faults of the gateway itself are no such
 * lines: they are always written.
 */
export class AccessLog {
  /** @param choice in force; it may change at any time. */
  constructor(
    readonly log: Log,
    public choice: AccessChoice,
  ) {}

  /**
   * Whether a line is to be written, so that it need not be put together where it is not.
   * @param isTrouble whether it is about a client that was turned away, or did not end well.
   */
  wants(isTrouble: boolean): boolean {
    return this.choice === 'all' || (isTrouble && this.choice === 'errors');
  }
}
