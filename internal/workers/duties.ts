import type { LogOrder } from '../admin/log-settings.js';
import type { AdminOperations } from '../admin/operations.js';
import type { Revocation, RevocationNews } from '../auth/revocations/revocations.js';
import type { Config, RequestLimit, Route } from '../config/config.js';
import type { RoutesSource } from '../config/routes/file.js';
import type { ReloadResult } from '../config/routes/reload.js';
import type { SettingsChange } from '../config/settings-reload.js';
import type { Ledger } from '../ratelimit/lease-ledger.js';
import type { SharedRecord } from '../store/records/record.js';
import type { MetricsSnapshot } from '../telemetry/metrics/metrics.js';

/** All that a worker needs to be a gateway. */
export interface Assignment {
  /** 1 and up; its replacement has the same. */
  readonly worker: number;
  readonly config: Config;
  /** The table in effect. */
  readonly routes: readonly Route[];
  readonly routesSource: RoutesSource;
}

/** Records that every process knows, by name. */
export type RecordsName = 'bans' | 'rateLimits' | 'drains';

/** Questions that any worker can ask all others, by way of the supervisor. */
export type SiblingDuties = Pick<
  AdminOperations,
  | 'sessions'
  | 'closeSession'
  | 'renewSession'
  | 'upstreams'
  | 'unsentRevocations'
  | 'refusals'
  | 'resetCircuit'
>;

/** What the supervisor asks a worker. */
export interface WorkerDuties extends SiblingDuties {
  assign(assignment: Assignment): void;
  /** Answered when clients are served. */
  start(): Promise<void>;
  /** The worker drains its sessions, then exits. */
  drain(): void;
  applyRoutes(routes: readonly Route[]): Promise<void>;
  takeSettings(change: SettingsChange): void;
  changeLog(order: LogOrder): Promise<void>;
  snapshot(): Promise<MetricsSnapshot>;
  /** Liveness check: answered at once, unless the worker hangs. */
  ping(): void;
  /** There is mail from another worker, which asks for leases. */
  mailCame(): void;
  learn(revocations: readonly RevocationNews[]): void;
  learnRecords(name: RecordsName, records: readonly SharedRecord<unknown>[]): void;
  /** Applies a revocation. @returns how many sessions it ended, also if the worker had heard of it before. */
  revoke(revocation: Revocation): number;
}

/** What a worker asks the supervisor. */
export interface SupervisorDuties extends Pick<Ledger, 'settle' | 'readMail' | 'retire' | 'sendMail'> {
  /** The metrics of all workers as one text. */
  scrape(): Promise<string>;
  /** Reads the routes file; answered when every worker has the new table. */
  reload(): Promise<ReloadResult>;
  /** A revocation took effect here, or was taken back: the other workers are told, unless they know it. */
  learned(news: RevocationNews): void;
  /** A record is new or newer here: the other workers are told, unless they know it. */
  recordChanged(name: RecordsName, record: SharedRecord<unknown>): void;
  /** Makes all other workers apply a revocation. @returns the number of sessions they ended. */
  revoke(revocation: Revocation): Promise<number>;
  /** Sets the log settings of the supervisor, of all other workers and of those that start later. */
  changeLog(order: LogOrder): Promise<void>;
  /** Answered when it is this worker's turn for that name; one worker at a time has it. */
  takeTurn(name: string): Promise<void>;
  giveTurn(name: string): void;
  /** See `SlotStore`: slots that the workers of this host share. */
  takeSlot(key: string, holder: string, limit: number): boolean;
  leaveSlot(key: string, holder: string): void;
  /** See `RequestCounter`: requests of all workers of this host. */
  takeRequest(key: string, limit: RequestLimit): number | undefined;
  /** See `ClaimStore`: ids that are used up on this host. */
  claim(key: string, untilMs: number): Promise<boolean>;
  isClaimed(key: string): Promise<boolean>;
  /** Asks all other workers a question. @returns the answers of those that gave one in time. */
  others(name: keyof SiblingDuties, args: readonly unknown[]): Promise<readonly unknown[]>;
}
