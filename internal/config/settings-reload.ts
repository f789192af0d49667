import { isDeepStrictEqual } from 'node:util';
import type { IssuerConfig, RateLimitConfig } from './config.js';
import { rateLimitOf } from './environment/assembly.js';
import type { Values, VariableName } from './environment/variables.js';
import type { Problem } from './problem.js';
import { readTextFile } from './text-file.js';

/** What a running gateway takes over from a changed settings file. Plain data: it crosses processes. */
export interface TakenSettings {
  readonly level: Values['LOG_LEVEL'];
  readonly access: Values['LOG_ACCESS'];
  readonly rateLimit: RateLimitConfig;
}

/** The result of a change of the settings file. */
export type SettingsChange =
  | { readonly kind: 'rejected'; readonly problems: readonly Problem[] }
  | {
      readonly kind: 'taken';
      readonly settings: TakenSettings;
      /** Variables whose new value is in force. */
      readonly changed: readonly string[];
      /** Variables whose new value takes effect at the next start. */
      readonly restart: readonly string[];
    };

/** Where settings come from beside the environment. */
export interface SettingsSource {
  /** CONFIG_FILE; undefined: from nowhere. */
  readonly file: string | undefined;
  /** Those in effect. */
  readonly values: Values;
  /** Of ISSUERS_FILE, in effect. */
  readonly issuers: readonly IssuerConfig[];
  /** Environment and file, read again. */
  readonly read: () => Pick<SettingsSource, 'values' | 'issuers'> & { readonly problems: readonly Problem[] };
}

const RELOADABLE: ReadonlySet<string> = new Set<VariableName>([
  'LOG_LEVEL',
  'LOG_ACCESS',
  'RATE_LIMIT_PER_SECOND',
  'RATE_LIMIT_BURST',
  'RATE_LIMIT_BYTES_PER_SECOND',
]);

/**
 * Interval at which the file is checked. A change is applied when it has stayed the same for one interval.
 */
const POLL_MS = 500;
/** Largest settings file, and one byte more, which is refused when it is read. */
const MAX_BYTES = 262_145;

/** Follows the settings file: changes that can be applied are, and those that need a restart are named. */
export class SettingsReloader {
  #inEffect: Values;
  #issuers: readonly IssuerConfig[];
  /** The state of the file that was handled last, and the one seen last. */
  #taken: string | undefined;
  #seen: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly source: SettingsSource,
    readonly onChange: (change: SettingsChange) => void,
  ) {
    this.#inEffect = source.values;
    this.#issuers = source.issuers;
    this.#taken = this.#state();
  }

  start(): void {
    if (this.source.file === undefined) return;
    this.#timer ??= setInterval(() => this.#look(), POLL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Reads the file now, and what it and the environment name (SIGHUP). */
  reload(): void {
    this.#taken = this.#state();
    const { values, issuers, problems } = this.source.read();
    if (problems.length > 0) return this.onChange({ kind: 'rejected', problems });
    const differing = Object.entries(values)
      .filter(([name, value]) => !isDeepStrictEqual(value, this.#inEffect[name as VariableName]))
      .map(([name]) => name);
    // The path is the same as before, and what stands in the file is not.
    if (!differing.includes('ISSUERS_FILE') && !isDeepStrictEqual(issuers, this.#issuers))
      differing.push('ISSUERS_FILE');
    if (differing.length === 0) return;
    this.#inEffect = values;
    this.#issuers = issuers;
    this.onChange({
      kind: 'taken',
      settings: { level: values.LOG_LEVEL, access: values.LOG_ACCESS, rateLimit: rateLimitOf(values) },
      changed: differing.filter((name) => RELOADABLE.has(name)),
      restart: differing.filter((name) => !RELOADABLE.has(name)),
    });
  }

  #look(): void {
    const state = this.#state();
    const settled = state === this.#seen;
    this.#seen = state;
    if (settled && state !== this.#taken) this.reload();
  }

  #state(): string | undefined {
    if (this.source.file === undefined) return undefined;
    const read = readTextFile(this.source.file, MAX_BYTES);
    return 'text' in read ? `text ${read.text}` : `fault ${read.fault}`;
  }
}
