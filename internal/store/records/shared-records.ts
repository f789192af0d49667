import { fromUnknown } from '../../errors.js';
import { patientTime } from '../../runtime/patient-time.js';
import type { Log } from '../../telemetry/log/log.js';
import { Agreement } from '../agreement/agreement.js';
import type { SharedList } from '../agreement/shared-list.js';
import { type SharedRecord, supersedes } from './record.js';

export type RecordList = SharedList<SharedRecord<unknown>>;

export interface SharedRecordsOptions<Value> {
  /** What they are called in the log, in the plural. */
  readonly what: string;
  /** The value of a record that came from elsewhere; undefined: it is malformed. */
  readonly parse: (value: unknown) => Value | undefined;
  /** Shares them with other processes; undefined: this process alone. */
  readonly list: RecordList | undefined;
  readonly log: Log;
  /** Called every second. */
  readonly onTick?: () => void;
}

interface Entry<Value> {
  readonly record: SharedRecord<Value>;
  /** The last round in which somebody spoke of it. */
  round: number;
}

/**
 * A few records that every process remembers in full (see `Agreement`), so that looking one up needs no round
 * trip. The latest version of a record counts.
 */
export class SharedRecords<Value> {
  readonly #options: SharedRecordsOptions<Value>;
  readonly #agreement: Agreement<SharedRecord<unknown>>;
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #listeners: ((record: SharedRecord<Value>) => void)[] = [];
  /** By what it says, records are forgotten. */
  readonly #now = patientTime();
  #round = 0;
  #malformed = 0;

  constructor(options: SharedRecordsOptions<Value>) {
    this.#options = options;
    const { list, log, what, onTick } = options;
    this.#agreement = new Agreement({
      memory: {
        size: () => this.#entries.size,
        learn: (record) => void this.learn(record),
        beginRound: () => void this.#round++,
        unspoken: () => this.#unspoken(),
      },
      list,
      keyOf: ({ key }) => key,
      isOver: ({ forgottenMs }) => forgottenMs <= this.#now(),
      what,
      log,
      onTick: () => {
        this.#sweep();
        onTick?.();
      },
    });
  }

  /** Records the store has yet to be told. */
  get unsent(): number {
    return this.#agreement.unsent;
  }

  /** Malformed or oversized messages and entries that came from the store. */
  get ignored(): number {
    return this.#agreement.ignored + this.#malformed;
  }

  /** Resolves when what the others know is known, or can not be learned within 2 s. */
  start(): Promise<void> {
    return this.#agreement.start();
  }

  stop(): void {
    this.#agreement.stop();
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key)?.record.value;
  }

  /** All of them, for a process that starts too. */
  *[Symbol.iterator](): Generator<SharedRecord<Value>> {
    for (const { record } of this.#entries.values()) yield record;
  }

  /** Calls `listener` for each record that is new or newer. */
  onChange(listener: (record: SharedRecord<Value>) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Writes a record: in this process before it returns, in the others within the store's latency.
   * @param forgottenMs since the epoch; Infinity: never.
   * @returns whether the store keeps it by now; it will be told once it is back. Without a store: false.
   */
  async put(key: string, value: Value, forgottenMs: number): Promise<boolean> {
    const known = this.#entries.get(key)?.record.version ?? 0;
    const record = { key, version: Math.max(Date.now(), known + 1), value, forgottenMs };
    this.#take(record);
    return (await this.#agreement.send(record)) ?? false;
  }

  /** Takes in what another process said, without passing it on. Returns whether it was news. */
  learn(record: SharedRecord<unknown>): boolean {
    const value = this.#options.parse(record.value);
    if (value === undefined) {
      this.#malformed++;
      return false;
    }
    return this.#take({ ...record, value });
  }

  /** Forgets a record here, before its time; the store still has it. */
  forget(key: string): void {
    this.#entries.delete(key);
  }

  #take(record: SharedRecord<Value>): boolean {
    const known = this.#entries.get(record.key);
    if (known !== undefined && !supersedes(record, known.record)) {
      if (!supersedes(known.record, record)) known.round = this.#round;
      return false;
    }
    if (record.forgottenMs <= this.#now()) return false;
    this.#entries.set(record.key, { record, round: this.#round });
    for (const listener of this.#listeners) {
      try {
        listener(record);
      } catch (thrown) {
        const { log, what } = this.#options;
        log.error({ err: fromUnknown(thrown) }, `a change of ${what} could not be carried out`);
      }
    }
    return true;
  }

  *#unspoken(): Generator<SharedRecord<unknown>> {
    const nowMs = this.#now();
    for (const { record, round } of this.#entries.values())
      if (round < this.#round && record.forgottenMs > nowMs) yield record;
  }

  #sweep(): void {
    const nowMs = this.#now();
    for (const [key, { record }] of this.#entries) if (record.forgottenMs <= nowMs) this.#entries.delete(key);
  }
}
