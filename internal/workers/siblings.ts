import { Registry } from 'prom-client';
import type { LocalOperations } from '../admin/local-operations.js';
import type { LogOrder } from '../admin/log-settings.js';
import type { ClaimStore } from '../auth/once/claims.js';
import type { Lift, Revocation, Revocations } from '../auth/revocations/revocations.js';
import type { RouteTable } from '../config/config.js';
import type { RouteReloader } from '../config/routes/reload.js';
import { createRouteTable } from '../config/routes/table.js';
import type { SettingsChange } from '../config/settings-reload.js';
import type { Accepted } from '../gateway/node/acceptor.js';
import type { Ledger } from '../ratelimit/lease-ledger.js';
import type { RequestCounter } from '../ratelimit/request-buckets.js';
import type { SlotStore } from '../ratelimit/token-slots/slot-store.js';
import type { SharedRecord } from '../store/records/record.js';
import type { SharedRecords } from '../store/records/shared-records.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import type { RecordsName, SiblingDuties, SupervisorDuties, WorkerDuties } from './duties.js';
import type { Door, HandedConnections } from './handed-connections.js';
import { HostLedger } from './host-ledger.js';
import type { Answer, Arguments, Link } from './link.js';

/** Longest wait for an answer of the supervisor that it collects from other workers, which have a second. */
const HOST_ANSWER_MS = 2_000;
/** Revocations of which it is remembered how many sessions they ended here. */
const MAX_ENDED = 1_000;

/** The parts of a worker that answer the other workers. */
export interface WorkerParts {
  readonly metrics: Metrics;
  readonly revocations: Pick<Revocations, 'learn'>;
  readonly records: Readonly<Record<RecordsName, Pick<SharedRecords<unknown>, 'learn'>>>;
  readonly operations: LocalOperations;
  readonly applyTable: (table: RouteTable) => Promise<void>;
  readonly takeSettings: (change: SettingsChange) => void;
}

/** The other workers of this host, as seen by one of them; questions go by way of the supervisor. */
export class Siblings {
  readonly #link: Link<WorkerDuties, SupervisorDuties>;
  /** Sessions ended here a moment ago, by revocation. */
  readonly #ended = new Map<string, { readonly sessions: number; readonly atMs: number }>();
  /** The leases of this host, for rate limits over all its workers. */
  readonly ledger: Ledger;
  /** Locks by name among the workers of this host. */
  readonly turns: { take(name: string): Promise<void>; give(name: string): void };
  /** Slots that the workers of this host share. */
  readonly slots: SlotStore;
  /** Counts requests for all workers of this host. */
  readonly requests: RequestCounter;
  /** Ids that are used up on this host. */
  readonly claims: ClaimStore;
  /** The routes file is followed by the supervisor, for all workers. */
  readonly reloader: Pick<RouteReloader, 'start' | 'stop' | 'reload'>;
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  /**
   * @param worker this worker's number.
   * @param connections those that the supervisor hands over, by door, where it is the one that listens.
   */
  constructor(
    readonly worker: number,
    link: Link<WorkerDuties, SupervisorDuties>,
    readonly connections: Readonly<Record<Door, HandedConnections<Accepted>>>,
  ) {
    this.#link = link;
    this.ledger = new HostLedger(link);
    this.turns = {
      // Without a supervisor there are no other workers any more.
      take: (name) => link.ask('takeTurn', [name]).catch(() => {}),
      give: (name) => void link.ask('giveTurn', [name]).catch(() => {}),
    };
    this.slots = {
      take: (...place) => link.ask('takeSlot', place),
      // The supervisor keeps slots as long as this worker lives.
      renew: () => Promise.resolve(),
      leave: (...place) => link.ask('leaveSlot', place),
    };
    this.requests = { take: (...request) => link.ask('takeRequest', request, HOST_ANSWER_MS) };
    this.claims = {
      claim: (...id) => link.ask('claim', id, HOST_ANSWER_MS),
      isClaimed: (key) => link.ask('isClaimed', [key], HOST_ANSWER_MS),
    };
    this.reloader = {
      start: () => {},
      stop: () => Promise.resolve(),
      reload: () => link.ask('reload', []),
    };
  }

  /** From now on this worker answers what the others want to know. */
  introduce({ metrics, revocations, records, operations, applyTable, takeSettings }: WorkerParts): void {
    this.#link.offer({
      snapshot: () => metrics.snapshot(),
      applyRoutes: (routes) => applyTable(createRouteTable(routes)),
      takeSettings,
      learn: (learned) => {
        for (const revocation of learned) revocations.learn(revocation);
      },
      learnRecords: (name, learned) => {
        for (const record of learned) records[name].learn(record);
      },
      revoke: (revocation) => {
        revocations.learn(revocation);
        return this.#takeEnded(revocation);
      },
      sessions: (query) => operations.sessions(query),
      closeSession: (id) => operations.closeSession(id),
      renewSession: (order) => operations.renewSession(order),
      upstreams: () => operations.upstreams(),
      refusals: () => operations.refusals(),
      resetCircuit: (upstream) => operations.resetCircuit(upstream),
      unsentRevocations: () => operations.unsentRevocations(),
      changeLog: (order) => operations.changeLog(order),
    });
  }

  /** A revocation took effect in this worker and ended `sessions` sessions. */
  revoked(revocation: Revocation, sessions: number): void {
    this.#ended.set(keyOf(revocation), { sessions, atMs: performance.now() });
    const [oldest] = this.#ended.keys();
    if (oldest !== undefined && this.#ended.size > MAX_ENDED) this.#ended.delete(oldest);
    // Without a supervisor there are no others any more, and this worker is about to end.
    this.#link.ask('learned', [revocation]).catch(() => {});
  }

  /** A revocation was taken back in this worker. */
  lifted(lift: Lift): void {
    this.#link.ask('learned', [lift]).catch(() => {});
  }

  /** A record is new or newer in this worker. */
  recordChanged(name: RecordsName, record: SharedRecord<unknown>): void {
    this.#link.ask('recordChanged', [name, record]).catch(() => {});
  }

  /**
   * Makes the other workers apply a revocation.
   * @returns the number of sessions they ended; workers out of reach hear of it later.
   */
  revoke(revocation: Revocation): Promise<number> {
    return this.#link.ask('revoke', [revocation], HOST_ANSWER_MS).catch(() => 0);
  }

  /**
   * Sets the log settings of the supervisor and the other workers; those out of reach hear of it when they
   * are back.
   */
  changeLog(order: LogOrder): Promise<void> {
    return this.#link.ask('changeLog', [order], HOST_ANSWER_MS).catch(() => {});
  }

  /** Asks all others. @returns the answers of those that gave one in time. */
  async ask<Name extends keyof SiblingDuties>(
    name: Name,
    args: Arguments<SiblingDuties, Name>,
  ): Promise<readonly Answer<SiblingDuties, Name>[]> {
    const answers = await this.#link.ask('others', [name, args], HOST_ANSWER_MS).catch(() => []);
    // The supervisor only passes on what the duty of that name answered.
    return answers as readonly Answer<SiblingDuties, Name>[];
  }

  /** The metrics of all workers. @throws Error when the supervisor is out of reach. */
  scrape(): Promise<string> {
    return this.#link.ask('scrape', [], HOST_ANSWER_MS);
  }

  #takeEnded(revocation: Revocation): number {
    const key = keyOf(revocation);
    const ended = this.#ended.get(key);
    this.#ended.delete(key);
    return ended !== undefined && performance.now() - ended.atMs < HOST_ANSWER_MS ? ended.sessions : 0;
  }
}

/** Two revocations of a subject a moment apart, from the store and from a sibling, are the same here. */
function keyOf(revocation: Revocation): string {
  if (revocation.kind === 'joined') return JSON.stringify([revocation.text]);
  if (revocation.kind === 'session') return JSON.stringify({ sid: revocation.sid, iss: revocation.issuer });
  if (revocation.kind === 'token') return JSON.stringify([revocation.sub, revocation.jti]);
  return JSON.stringify([revocation.sub, null, revocation.issuer]);
}
