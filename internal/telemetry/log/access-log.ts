import type { AccessChoice, Log } from './log.js';

/**
 * Which lines about clients that connect and disconnect are logged (LOG_ACCESS). Lines about faults of the
 * gateway itself are always logged.
 */
export class AccessLog {
  /** @param choice in force; it may change at any time. */
  constructor(
    readonly log: Log,
    public choice: AccessChoice,
  ) {}

  /**
   * Whether to log a line; asked before the line is composed.
   * @param isTrouble whether it is about a refusal, or a session that ended in an error.
   */
  wants(isTrouble: boolean): boolean {
    return this.choice === 'all' || (isTrouble && this.choice === 'errors');
  }
}
