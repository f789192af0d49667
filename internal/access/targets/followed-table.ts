import { stat } from 'node:fs/promises';
import {
  type RowsResult,
  readTableText,
  rowsInTurns,
  type Table,
  type TargetColumns,
} from '../../config/routes/target-table.js';
import type { Log } from '../../telemetry/log/log.js';

/** How often the file is checked for a change. */
const POLL_MS = 500;
/** The file is read again this often even if its time of change is the same (SPEC section 19). */
const REREAD_MS = 60_000;

/** The rows of a table file, read again when it changes; a file with errors changes nothing. */
export class FollowedTable {
  #columns: TargetColumns = new Map();
  #state: string | undefined;
  #text: string | undefined;
  #readMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped: boolean = false;
  /** The first read. */
  readonly ready: Promise<void>;

  constructor(
    readonly table: Table,
    readonly log: Log,
  ) {
    this.ready = this.#look();
  }

  /** A field of the row with that key. */
  valueOf(key: string, field: string): string | undefined {
    return this.#columns.get(field)?.get(key);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const state = await this.#stateOfFile();
    if (state !== this.#state || performance.now() - this.#readMs >= REREAD_MS) {
      this.#state = state;
      this.#readMs = performance.now();
      await this.#read();
    }
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#look(), POLL_MS);
    this.#timer.unref();
  }

  async #stateOfFile(): Promise<string> {
    try {
      const { ino, size, mtimeMs, ctimeMs } = await stat(this.table.file);
      return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
    } catch {
      return 'not there';
    }
  }

  async #read(): Promise<void> {
    const { file, name, fields } = this.table;
    const read = await readTableText(this.table);
    const text = 'text' in read ? read.text : undefined;
    if (text !== undefined && text === this.#text) return;
    const result: RowsResult = await rowsInTurns(read, fields);
    this.#text = text;
    if ('fault' in result) {
      this.log.error(
        { target: name, file, problem: result.fault },
        'table not read: the rows in effect stay',
      );
      return;
    }
    this.#columns = result.columns;
    this.log.info({ target: name, rows: result.rows }, 'table read');
  }
}
