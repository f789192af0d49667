import { isDeepStrictEqual } from 'node:util';
import type { RateLimitConfig, RequestLimit } from '../config/config.js';
import type { RecordTable } from '../store/records/postgres-records.js';
import { type RecordList, SharedRecords } from '../store/records/shared-records.js';
import type { Log } from '../telemetry/log/log.js';

/** A limit that an operator has set. */
export interface LimitSetting {
  /** Messages, on HTTP routes requests, a second; 0: off. */
  readonly perSecond: number;
  /** ≥ 1. */
  readonly burst: number;
  /** Payload bytes a second, 0: off; undefined: as without the setting. */
  readonly bytesPerSecond: number | undefined;
}

export interface LimitsInForceOptions {
  /** RATE_LIMIT_*. */
  readonly configured: RateLimitConfig;
  /** Shares settings with other processes; undefined: this process alone. */
  readonly list: RecordList | undefined;
  readonly log: Log;
}

/** The record of the default; those of routes are named by their prefix, which begins with a slash. */
const DEFAULT = '';
/** A setting that was taken back is remembered so long, for processes that were away. */
const TAKEN_BACK_MS = 30 * 86_400_000;

/** What is kept under a name; the word stands for a setting that was taken back. */
type Kept = LimitSetting | 'configured';

/**
 * The rate limits in force: those that operators have set, else the configured ones. Every process knows all
 * settings (see `SharedRecords`).
 */
export class LimitsInForce {
  #configured: RateLimitConfig;
  readonly #listeners: (() => void)[] = [];
  readonly #records: SharedRecords<Kept>;

  constructor({ configured, list, log }: LimitsInForceOptions) {
    this.#configured = configured;
    this.#records = new SharedRecords({ what: 'rate limits', parse: parseKept, list, log });
  }

  /** As shared with others. */
  get records(): Pick<SharedRecords<Kept>, 'learn' | 'onChange' | typeof Symbol.iterator> {
    return this.#records;
  }

  /** Resolves when the settings of other processes are known, or can not be learned within a second. */
  start(): Promise<void> {
    return this.#records.start();
  }

  stop(): void {
    this.#records.stop();
  }

  /** Calls `listener` after each change. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
    this.#records.onChange(() => listener());
  }

  /** Another configuration is in effect; what operators have set still goes before it. */
  configure(configured: RateLimitConfig): void {
    if (isDeepStrictEqual(configured, this.#configured)) return;
    this.#configured = configured;
    for (const listener of this.#listeners) listener();
  }

  /** For all that has no limit of its own. */
  get default(): RateLimitConfig {
    const set = this.setting(undefined);
    if (set === undefined) return this.#configured;
    return { ...set, bytesPerSecond: set.bytesPerSecond ?? this.#configured.bytesPerSecond };
  }

  /** What an operator has set for a route, or for all that has no limit of its own; undefined: nothing. */
  setting(prefix: string | undefined): LimitSetting | undefined {
    const kept = this.#records.get(prefix ?? DEFAULT);
    return kept === 'configured' ? undefined : kept;
  }

  /** The limit on a route's HTTP requests, which knows no default; undefined: none. */
  ofRequests(prefix: string, configured: RequestLimit | undefined): RequestLimit | undefined {
    const set = this.setting(prefix);
    if (set === undefined) return configured;
    if (set.perSecond === 0) return undefined;
    return { requests: set.perSecond, perMs: 1_000, burst: set.burst, by: configured?.by ?? 'sub' };
  }

  /**
   * Sets a limit: in this process before it returns, in the others within the store's latency. Without
   * `bytesPerSecond` the one that was set before stays.
   * @param prefix of a route; undefined: the default.
   * @returns whether a store keeps it by now.
   */
  set(prefix: string | undefined, setting: LimitSetting): Promise<boolean> {
    const bytesPerSecond = setting.bytesPerSecond ?? this.setting(prefix)?.bytesPerSecond;
    return this.#records.put(prefix ?? DEFAULT, { ...setting, bytesPerSecond }, Number.POSITIVE_INFINITY);
  }

  /** Goes back to what is configured. @returns whether a store knows by now. */
  reset(prefix: string | undefined): Promise<boolean> {
    return this.#records.put(prefix ?? DEFAULT, 'configured', Date.now() + TAKEN_BACK_MS);
  }
}

/** The table of settings in Postgres. */
export const RATE_LIMITS_TABLE: RecordTable = {
  name: 'ws_rate_limits',
  columns: (['perSecond', 'burst', 'bytesPerSecond'] as const).map((key) => ({
    name: { perSecond: 'per_second', burst: 'burst', bytesPerSecond: 'bytes_per_second' }[key],
    type: 'float8',
    of: (value) => {
      const kept = parseKept(value);
      return kept === undefined || kept === 'configured' ? null : (kept[key] ?? null);
    },
  })),
};

function parseKept(value: unknown): Kept | undefined {
  if (value === 'configured') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const { perSecond, burst, bytesPerSecond } = value as Readonly<Record<string, unknown>>;
  if (!isRate(perSecond) || !isRate(burst) || burst < 1) return undefined;
  if (bytesPerSecond === undefined || bytesPerSecond === null)
    return { perSecond, burst, bytesPerSecond: undefined };
  return isRate(bytesPerSecond) ? { perSecond, burst, bytesPerSecond } : undefined;
}

function isRate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}
