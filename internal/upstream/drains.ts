import type { RecordTable } from '../store/records/postgres-records.js';
import { type RecordList, SharedRecords } from '../store/records/shared-records.js';
import type { Log } from '../telemetry/log/log.js';

/** The state of an endpoint, by its name. */
interface Drain {
  /** false: it was drained, and takes clients again. */
  readonly drained: boolean;
  /** Whether its present connections are closed, too. */
  readonly close: boolean;
}

/** How long the end of a drain is remembered, for processes that were disconnected meanwhile. */
const TAKEN_BACK_MS = 30 * 86_400_000;

/** Endpoints that operators have taken out of service. Every process knows them all (see `SharedRecords`). */
export class Drains {
  readonly #records: SharedRecords<Drain>;

  /** @param list shares them with other processes; undefined: this process alone. */
  constructor({ list, log }: { readonly list: RecordList | undefined; readonly log: Log }) {
    this.#records = new SharedRecords({ what: 'drained endpoints', parse, list, log });
  }

  /** As shared with others. */
  get records(): Pick<SharedRecords<unknown>, 'learn' | 'onChange' | typeof Symbol.iterator> {
    return this.#records;
  }

  /** Resolves when those of other processes are known, or can not be learned within 2 s. */
  start(): Promise<void> {
    return this.#records.start();
  }

  stop(): void {
    this.#records.stop();
  }

  /** @param name the endpoint's, as in logs and metrics. */
  has(name: string): boolean {
    return this.#records.get(name)?.drained === true;
  }

  /**
   * Calls `listener` after each change.
   * @param listener hears which endpoint, and whether its clients have to go.
   */
  onChange(listener: (name: string, close: boolean) => void): void {
    this.#records.onChange(({ key, value }) => listener(key, value.drained && value.close));
  }

  /**
   * Drains an endpoint: in this process before it returns, in the others within the store's latency.
   * @returns whether a store has recorded it.
   */
  drain(name: string, close: boolean): Promise<boolean> {
    return this.#records.put(name, { drained: true, close }, Number.POSITIVE_INFINITY);
  }

  /** @returns likewise; undefined: it is not drained. */
  async end(name: string): Promise<boolean | undefined> {
    if (!this.has(name)) return undefined;
    return this.#records.put(name, { drained: false, close: false }, Date.now() + TAKEN_BACK_MS);
  }
}

/** The table in Postgres. */
export const DRAINS_TABLE: RecordTable = {
  name: 'ws_drains',
  columns: [
    { name: 'state', type: 'text', of: (value) => (parse(value)?.drained ? 'drained' : 'in service') },
  ],
};

function parse(value: unknown): Drain | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { drained, close } = value as Readonly<Record<string, unknown>>;
  return typeof drained === 'boolean' && typeof close === 'boolean' ? { drained, close } : undefined;
}
