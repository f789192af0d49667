import { EventEmitter } from 'node:events';
import { inTime } from '../clients/waiting.js';

/** One line of the gateway's log (SPEC section 13). */
export type LogEntry = Readonly<Record<string, unknown>>;

/** The gateway's log, read line by line as it comes. Emits `entry`. */
export class GatewayLog extends EventEmitter<{ entry: [LogEntry] }> {
  /** The message of the last line, or the line itself where it is not JSON. */
  last: string | undefined;

  take(line: string): void {
    if (line.trim() === '') return;
    const entry = entryOf(line);
    this.last = String(entry?.msg ?? line.trim());
    if (entry !== undefined) this.emit('entry', entry);
  }

  /** What the gateway says of the next session it opens for this subject: its protocol, and its route. */
  async opened(sub: string): Promise<string> {
    const { protocol, route } = await this.#next(
      (entry) => entry.sub === sub && entry.protocol !== undefined && entry.reason === undefined,
      `log line about ${sub}`,
    );
    return `the gateway saw protocol ${protocol} and took route ${route}`;
  }

  /** Why the next session that ends for this reason was refused, which its client is not told. */
  async refused(reason: string): Promise<string> {
    const { why } = await this.#next((entry) => entry.reason === reason, `log line with reason ${reason}`);
    return `only the log says why: ${why ?? reason}`;
  }

  #next(fits: (entry: LogEntry) => boolean, what: string): Promise<LogEntry> {
    const found = new Promise<LogEntry>((resolve) => {
      const listen = (entry: LogEntry): void => {
        if (!fits(entry)) return;
        this.off('entry', listen);
        resolve(entry);
      };
      this.on('entry', listen);
    });
    return inTime(found, what);
  }
}

function entryOf(line: string): LogEntry | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? (entry as LogEntry) : undefined;
  } catch {
    return undefined;
  }
}
