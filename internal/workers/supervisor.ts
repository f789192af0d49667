import type { LogOrder } from '../admin/log-settings.js';
import { MemoryClaims } from '../auth/once/claims.js';
import type { Config, RouteTable } from '../config/config.js';
import { problemLine } from '../config/problem.js';
import type { RoutesSource } from '../config/routes/file.js';
import { type ReloadResult, RouteReloader } from '../config/routes/reload.js';
import { hasHttpRoutes } from '../config/routes/table.js';
import type { SettingsChange } from '../config/settings-reload.js';
import { tellSettings } from '../config/settings-words.js';
import { startFacts } from '../config/start-facts.js';
import { fromUnknown } from '../errors.js';
import { chooseListener } from '../gateway/choice.js';
import {
  assertServes,
  commonLimits,
  type ListenerLimits,
  listenerLimits,
  NO_LIMITS,
} from '../gateway/listener-limits.js';
import { MemoryLedger } from '../ratelimit/memory-ledger.js';
import { RequestBuckets } from '../ratelimit/request-buckets.js';
import { HeapTrim } from '../runtime/heap-trim.js';
import { createLog, flushed, type Log } from '../telemetry/log/log.js';
import { Metrics } from '../telemetry/metrics/metrics.js';
import { socketKind, tcpBinding } from '../upstream/socket/tcp-binding.js';
import { Crew, WORKER_ANSWER_MS } from './crew.js';
import type { SiblingDuties, SupervisorDuties } from './duties.js';
import { freePort } from './free-port.js';
import { HostMetrics } from './host-metrics.js';
import { HostRecords } from './host-records.js';
import { HostSlots } from './host-slots.js';
import { HostTurns } from './host-turns.js';
import type { Arguments } from './link.js';
import { SharedPort } from './shared-port.js';
import type { WorkerProcess } from './worker-process.js';

export interface SupervisorParts {
  readonly config: Config;
  readonly table: RouteTable;
  readonly routesSource: RoutesSource;
  /** Path of the program that calls `runWorker`. */
  readonly entry: string;
}

/** Time beyond the drain time and the hard limit after which a worker counts as stuck. */
const STUCK_MS = 5_000;

/**
 * Runs several gateway processes on one port. Keeps for all workers what must outlive each of them:
 * revocations, the leases of rate limits, the metrics of ended workers, the route table. No client ever talks
 * to this process.
 */
export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #hostMetrics: HostMetrics;
  readonly #records: HostRecords;
  readonly #ledger = new MemoryLedger();
  readonly #turns = new HostTurns();
  readonly #slots = new HostSlots();
  readonly #requests = new RequestBuckets();
  readonly #claims = new MemoryClaims();
  readonly #reloader: RouteReloader;
  readonly #crew: Crew;
  #config: Config;
  #table: RouteTable;
  #applied: Promise<unknown> = Promise.resolve();
  /** What the listeners of all workers can serve; see `commonLimits`. */
  #limits: ListenerLimits = NO_LIMITS;
  #scraping: Promise<string> | undefined;
  readonly #heapTrim = new HeapTrim(() => 0);
  /** undefined: the workers listen themselves, each on the same port. */
  #port: SharedPort | undefined;
  /** undefined: the endpoints have no address of their own. */
  #adminPort: SharedPort | undefined;

  constructor(parts: SupervisorParts) {
    const { config, table, routesSource, entry } = parts;
    this.#parts = parts;
    this.#config = config;
    this.#table = table;
    this.#log = createLog(config.telemetry);
    this.#metrics = new Metrics(config.telemetry.maxUsers);
    this.#hostMetrics = new HostMetrics(this.#metrics);
    this.#hostMetrics.name(table);
    this.#records = new HostRecords(config, this.#metrics, this.#log);
    this.#crew = new Crew({
      entry,
      log: this.#log,
      dutiesFor: (worker) => this.#dutiesFor(worker),
      bringUp: (worker) => this.#bringUp(worker),
      replaced: this.#metrics.process.workersReplaced,
      onEnd: (worker) => this.#forget(worker),
    });
    this.#reloader = new RouteReloader({
      source: routesSource,
      table,
      onTable: (changed) => this.#apply(changed),
      onProblems: (problems) => {
        this.#metrics.process.configReloads.inc({ result: 'failed' });
        const lines = problems.map(problemLine);
        this.#log.error({ problems: lines }, 'routes not reloaded: the ones in effect stay');
      },
    });
  }

  /**
   * Resolves when all workers serve clients.
   * @throws GatewayError ERR_LISTEN; Error with what kept a worker from starting.
   */
  async start(): Promise<void> {
    const { listen } = this.#config;
    const { host, workers, admin } = listen;
    const { kind, why } = await chooseListener(listen, hasHttpRoutes(this.#table));
    const port = await freePort(listen);
    this.#config = { ...this.#config, listen: { ...listen, port, listener: kind } };
    this.#limits = this.#listenerLimits();
    // However this process ends, by a second signal, too: no worker stays behind.
    process.once('exit', () => this.#crew.kill());
    // This process' own event loop lag is not shown: clients wait for it only to be accepted.
    this.#metrics.collectProcessMetrics(false);
    await this.#records.start();
    let serving = false;
    if (admin !== undefined)
      this.#adminPort = new SharedPort('admin', () => (serving ? this.#crew.members() : []));
    // Before there are any workers: if the port is taken, no client has been served yet.
    const adminPort = admin && (await this.#adminPort?.listen(admin.host, admin.port));
    await this.#crew.start(workers);
    if (kind === 'node') {
      this.#port = new SharedPort('clients', () => this.#crew.members());
      await this.#port.listen(host, port);
    }
    serving = true;
    this.#reloader.start();
    this.#heapTrim.start();
    const sockets = socketKind(tcpBinding());
    const facts = { host, port, adminHost: admin?.host, adminPort, listener: kind, why, sockets };
    this.#log.info({ ...startFacts(this.#config, this.#table), ...facts }, 'all workers are listening');
  }

  /** Reads the routes file again. */
  reload(): void {
    this.#reload().then(
      ({ outcome }) => this.#log.info({ outcome }, 'routes file read again'),
      (thrown) => this.#log.error({ reason: fromUnknown(thrown).message }, 'routes file not read again'),
    );
  }

  /** The settings file has changed: running workers are told, later ones start with it. */
  settingsChanged(change: SettingsChange): void {
    if (change.kind === 'taken') {
      const { settings, changed } = change;
      const { telemetry } = this.#config;
      this.#config = {
        ...this.#config,
        rateLimit: settings.rateLimit,
        // What the admin API has set since stays, unless the file has changed it.
        telemetry: {
          ...telemetry,
          ...(changed.includes('LOG_LEVEL') ? { logLevel: settings.level } : {}),
          ...(changed.includes('LOG_ACCESS') ? { logAccess: settings.access } : {}),
        },
      };
      this.#records.configure(settings.rateLimit);
      if (changed.includes('LOG_LEVEL')) this.#log.level = settings.level;
      void this.#crew.ask('takeSettings', [change]);
    }
    tellSettings(change, this.#log);
  }

  /** Makes all workers drain and end; one that is stuck is killed. */
  async stop(): Promise<void> {
    const { drainTimeoutMs, hardLimitMs } = this.#config.shutdown;
    this.#log.info('draining all workers');
    await Promise.all([this.#reloader.stop(), this.#crew.dismiss(drainTimeoutMs + hardLimitMs + STUCK_MS)]);
    this.#port?.close();
    this.#adminPort?.close();
    this.#records.stop();
    this.#heapTrim.stop();
    this.#log.info('all workers have ended');
    await flushed(this.#log);
  }

  async #bringUp(worker: WorkerProcess): Promise<void> {
    const { link, number } = worker;
    this.#limits = commonLimits(this.#limits, this.#listenerLimits());
    // The supervisor alone reads the routes file, so the environment stays here.
    const routesSource = { ...this.#parts.routesSource, environment: {} };
    const taken = link.ask('assign', [
      { worker: number, config: this.#config, routes: this.#table.routes, routesSource },
    ]);
    // Later changes are sent after the assignment.
    worker.assigned = true;
    await taken;
    await this.#records.teach(worker);
    await link.ask('start', []);
    worker.serving = true;
  }

  /** Synchronous, so that a scrape finds a worker's counts either among the live or among the ended. */
  #forget(worker: WorkerProcess): void {
    if (worker.snapshot !== undefined) this.#hostMetrics.keepEnded(worker.snapshot);
    for (const holder of worker.holders) this.#ledger.bury(holder);
    this.#turns.forget(worker);
    this.#slots.forget(worker);
  }

  #dutiesFor(worker: WorkerProcess): SupervisorDuties {
    const crew = this.#crew;
    const ledger = this.#ledger;
    const records = this.#records;
    return {
      scrape: () => this.#scrape(),
      reload: () => this.#reload(),
      learned: (revocation) => {
        if (records.learnRevocation(revocation)) void crew.ask('learn', [[revocation]], worker);
      },
      recordChanged: (name, record) => {
        if (records.learn(name, record)) void crew.ask('learnRecords', [name, [record]], worker);
      },
      revoke: async (revocation) => {
        records.learnRevocation(revocation);
        const ended = await crew.ask('revoke', [revocation], worker);
        return ended.reduce((sum, sessions) => sum + sessions, 0);
      },
      changeLog: async (order) => {
        this.#changeLog(order);
        await crew.ask('changeLog', [order], worker);
      },
      takeTurn: (name) => this.#turns.take(name, worker),
      giveTurn: (name) => this.#turns.give(name, worker),
      takeSlot: (...place) => this.#slots.take(...place, worker),
      leaveSlot: (...place) => this.#slots.leave(...place),
      takeRequest: (...request) => this.#requests.take(...request),
      claim: (...id) => this.#claims.claim(...id),
      isClaimed: (key) => this.#claims.isClaimed(key),
      others: (name, args) => crew.ask(name, args as Arguments<SiblingDuties, typeof name>, worker),
      settle: (...args) => ledger.settle(...args),
      readMail: (holder) => {
        worker.holders.add(holder);
        return ledger.readMail(holder);
      },
      retire: (holder) => ledger.retire(holder),
      sendMail: async (holder, budget, keep) => {
        const alive = await ledger.sendMail(holder, budget, keep);
        const addressee = crew.members().find(({ holders }) => alive && holders.has(holder));
        addressee?.link.ask('mailCame', [], WORKER_ANSWER_MS).catch(() => {});
        return alive;
      },
    };
  }

  /** Scrapes that come meanwhile get the same. */
  #scrape(): Promise<string> {
    this.#scraping ??= this.#collect().finally(() => {
      this.#scraping = undefined;
    });
    return this.#scraping;
  }

  async #collect(): Promise<string> {
    await Promise.all(this.#crew.members().map((worker) => worker.refresh(WORKER_ANSWER_MS)));
    // Of a worker that did not answer in time the previous snapshot is shown.
    const live = this.#crew.members().flatMap(({ snapshot }) => (snapshot === undefined ? [] : [snapshot]));
    return this.#hostMetrics.text(live);
  }

  /** Later workers are assigned what is in force then. */
  #changeLog({ level = this.#config.telemetry.logLevel, access }: LogOrder): void {
    const { telemetry } = this.#config;
    this.#log.level = level;
    const changed = { logLevel: level, logAccess: access ?? telemetry.logAccess };
    this.#config = { ...this.#config, telemetry: { ...telemetry, ...changed } };
  }

  async #reload(): Promise<ReloadResult> {
    const result = await this.#reloader.reload();
    await this.#applied;
    return result;
  }

  /** Of a worker that is started now. */
  #listenerLimits(): ListenerLimits {
    const { listen, session } = this.#config;
    const kind = listen.listener === 'uws' ? 'uws' : 'node';
    return listenerLimits(kind, this.#table, session.maxMessageBytes);
  }

  /** @throws GatewayError ERR_CONFIG when each worker would refuse it. */
  #apply(table: RouteTable): void {
    assertServes(this.#limits, table);
    this.#table = table;
    this.#hostMetrics.name(table);
    this.#applied = this.#crew.ask('applyRoutes', [table.routes]);
    this.#metrics.process.configReloads.inc({ result: 'ok' });
    this.#log.info({ routes: table.routes.length }, 'routes reloaded');
  }
}
