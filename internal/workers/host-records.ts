import { Bans } from '../auth/bans/bans.js';
import { type RevocationNews, Revocations } from '../auth/revocations/revocations.js';
import type { Config, RateLimitConfig } from '../config/config.js';
import { LimitsInForce } from '../ratelimit/limits-in-force.js';
import type { SharedRecord } from '../store/records/record.js';
import type { SharedRecords } from '../store/records/shared-records.js';
import type { Log } from '../telemetry/log/log.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import { Drains } from '../upstream/drains.js';
import type { RecordsName } from './duties.js';
import type { WorkerProcess } from './worker-process.js';

/** Records of any kind, to be passed on. */
type KnownRecords = Pick<SharedRecords<unknown>, 'learn'> & Iterable<SharedRecord<unknown>>;

/** Records in one message to a new worker. */
const BATCH = 1_000;

/**
 * State of all workers of a host that must outlive each of them: revocations, bans, and the operators' rate
 * limits and drains.
 */
export class HostRecords {
  readonly #revocations: Revocations;
  readonly #bans: Bans;
  readonly #limits: LimitsInForce;
  readonly #drains: Drains;
  readonly #records: Readonly<Record<RecordsName, KnownRecords>>;

  constructor(
    { revocationTtlMs, rateLimit }: Pick<Config, 'revocationTtlMs' | 'rateLimit'>,
    metrics: Pick<Metrics, 'auth'>,
    log: Log,
  ) {
    this.#revocations = new Revocations({
      ttlMs: revocationTtlMs,
      log,
      store: undefined,
      counter: metrics.auth.revocations,
    });
    this.#bans = new Bans({ list: undefined, log, counter: metrics.auth.bans });
    this.#limits = new LimitsInForce({ configured: rateLimit, list: undefined, log });
    this.#drains = new Drains({ list: undefined, log });
    this.#records = {
      bans: this.#bans.records,
      rateLimits: this.#limits.records,
      drains: this.#drains.records,
    };
  }

  async start(): Promise<void> {
    await this.#revocations.start();
    await Promise.all([this.#bans.start(), this.#limits.start(), this.#drains.start()]);
  }

  stop(): void {
    this.#revocations.stop();
    this.#bans.stop();
    this.#limits.stop();
    this.#drains.stop();
  }

  /** The limits that hold where no operator has set others. */
  configure(rateLimit: RateLimitConfig): void {
    this.#limits.configure(rateLimit);
  }

  /** @returns whether it was news. */
  learnRevocation(news: RevocationNews): boolean {
    return this.#revocations.learn(news);
  }

  /** @returns whether it was news. */
  learn(name: RecordsName, record: SharedRecord<unknown>): boolean {
    return this.#records[name].learn(record);
  }

  /** Sends all of it to a new worker, before that serves any client. */
  async teach({ link }: Pick<WorkerProcess, 'link'>): Promise<void> {
    for (const batch of batches(this.#revocations.news())) await link.ask('learn', [batch]);
    for (const name of ['bans', 'rateLimits', 'drains'] as const)
      for (const batch of batches(this.#records[name])) await link.ask('learnRecords', [name, batch]);
  }
}

function* batches<T>(items: Iterable<T>): Generator<readonly T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
