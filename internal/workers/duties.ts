import type { LogOrder } from '../admin/log-settings.js';
import type { AdminOperations } from '../admin/operations.js';
import type { Revocation, RevocationNews } from '../auth/revocations/revocations.js';
import type { Config, Route } from '../config/config.js';
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

/** What any worker can be asked on behalf of another one. */
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
  /** The worker ends its sessions over the drain time, and then itself. */
  drain(): void;
  applyRoutes(routes: readonly Route[]): Promise<void>;
  takeSettings(change: SettingsChange): void;
  changeLog(order: LogOrder): Promise<void>;
  snapshot(): Promise<MetricsSnapshot>;
  /** Answered at once by a worker that is well. */
  ping(): void;
  /** Another worker has asked this one for leases. */
  mailCame(): void;
  learn(revocations: readonly RevocationNews[]): void;
  learnRecords(name: RecordsName, records: readonly SharedRecord<unknown>[]): void;
  /** Carries a revocation out. @returns how many sessions it ended, however the worker heard of it first. */
  revoke(revocation: Revocation): number;
}

/** What a worker asks the supervisor. */
export interface SupervisorDuties extends Pick<Ledger, 'settle' | 'readMail' | 'retire' | 'sendMail'> {
  /** The metrics of all workers as one text. */
  scrape(): Promise<string>;
  /** Reads the routes file; answered when every worker has the new table. */
  reload(): Promise<ReloadResult>;
  /** A revocation took effect here, or was taken back: the other workers are told, as far as it is news. */
  learned(news: RevocationNews): void;
  /** A record is new or newer here: the other workers are told, as far as it is news to them. */
  recordChanged(name: RecordsName, record: SharedRecord<unknown>): void;
  /** Has all other workers carry out a revocation. @returns the sessions they ended. */
  revoke(revocation: Revocation): Promise<number>;
  /** The supervisor, all other workers and those that come later log so. */
  changeLog(order: LogOrder): Promise<void>;
  /** Answered when this worker has the turn of that name, which one worker has at a time. */
  takeTurn(name: string): Promise<void>;
  giveTurn(name: string): void;
  /** See `SlotStore`: places that the workers of this host share. */
  takeSlot(key: string, holder: string, limit: number): boolean;
  leaveSlot(key: string, holder: string): void;
  /** See `ClaimStore`: ids that are used up on this host. */
  claim(key: string, untilMs: number): Promise<boolean>;
  isClaimed(key: string): Promise<boolean>;
  /** Puts a question to all other workers. @returns the answers of those that gave one in time. */
  others(name: keyof SiblingDuties, args: readonly unknown[]): Promise<readonly unknown[]>;
}
