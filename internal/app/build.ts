import { hostname } from 'node:os';
import { AdminApi } from '../admin/api.js';
import { LocalOperations } from '../admin/local-operations.js';
import { Authenticator } from '../auth/authenticator.js';
import { Revocations } from '../auth/revocations/revocations.js';
import { MemoryTokenCache } from '../auth/token-cache/memory.js';
import { TieredTokenCache } from '../auth/token-cache/tiered.js';
import { TrustedIssuers } from '../auth/trusted-issuers.js';
import { CertificateWatch } from '../config/certificate-watch.js';
import type { Config, RouteTable } from '../config/config.js';
import { problemLine } from '../config/problem.js';
import type { RoutesSource } from '../config/routes/file.js';
import type { RouteReloader } from '../config/routes/reload.js';
import { fromUnknown } from '../errors.js';
import { HttpEndpoints } from '../gateway/endpoints.js';
import { Listener } from '../gateway/uws/listener.js';
import { HeapTrim } from '../heap-trim.js';
import { ConnectionSlots } from '../ratelimit/connection-limits.js';
import { FailedLogins } from '../ratelimit/failed-logins.js';
import { FallbackLedger } from '../ratelimit/fallback-ledger.js';
import { LeaseLedger, type LeaseStore, type Ledger } from '../ratelimit/lease-ledger.js';
import { Leases } from '../ratelimit/leases.js';
import { Limiter } from '../ratelimit/limiter.js';
import { TrustedProxies } from '../request/forwarded.js';
import { AllowedOrigins } from '../request/origin.js';
import { Admission } from '../session/admission.js';
import { closeRevoked } from '../session/revoked-sessions.js';
import { Sessions } from '../session/sessions.js';
import { TimerWheel } from '../session/timer-wheel.js';
import type { RedisStore } from '../store/redis.js';
import { createLog, flushed } from '../telemetry/log.js';
import { Metrics } from '../telemetry/metrics.js';
import { Tracing } from '../telemetry/tracing.js';
import { turnClock } from '../turn-clock.js';
import { Upstreams } from '../upstream/upstreams.js';
import { HostOperations } from '../workers/host-operations.js';
import type { Siblings } from '../workers/siblings.js';
import { createStores } from './stores.js';

export interface App {
  /**
   * Resolves when clients are served.
   * @throws GatewayError ERR_LISTEN, ERR_CONFIG
   */
  start(): Promise<void>;
  /** Reads the routes file again. */
  reload(): void;
  /** Drains and ends everything. */
  stop(): Promise<void>;
  /** Likewise, in a worker that has lost its supervisor: the port is left to others at once. */
  abandon(): Promise<void>;
}

/**
 * The composition root: the one place that knows every part.
 * @param siblings the other workers of this host; undefined: this process is the whole gateway.
 */
export async function createApp(
  config: Config,
  table: RouteTable,
  routesSource: RoutesSource,
  siblings?: Siblings,
): Promise<App> {
  const ownLog = createLog(config.telemetry);
  const log = siblings === undefined ? ownLog : ownLog.child({ worker: siblings.worker });
  const metrics = new Metrics(config.telemetry.maxUsers);
  const instance = siblings === undefined ? hostname() : `${hostname()}/${siblings.worker}`;
  const tracing = new Tracing(config.tracing, instance, log);
  const stores = await createStores(config, metrics, log);
  const keys = TrustedIssuers.create(config.verification, log, metrics);
  const memory = new MemoryTokenCache(config.tokenCache.maxEntries);
  const cache = new TieredTokenCache(memory, stores.tokenCache, metrics);
  const authenticator = new Authenticator(config.verification, keys, cache, metrics);
  const revocations = new Revocations({
    ttlMs: config.revocationTtlMs,
    log,
    store: stores.revocations,
    counter: metrics.revocations,
  });
  const upstreams = new Upstreams(
    { ...config.upstream, controlTimeoutMs: config.session.controlTimeoutMs },
    metrics,
    log,
  );
  const ledger = sharedLedger(stores.redis, siblings?.ledger);
  const now = turnClock();
  const leases: Leases | undefined = ledger && new Leases({ ledger, now });
  const limiter = new Limiter({ config: config.rateLimit, shared: leases, now });
  const failedLogins = new FailedLogins();
  const sessions = new Sessions(config.opening, new ConnectionSlots(config.opening), metrics);
  const heapTrim = new HeapTrim();
  const wheel = new TimerWheel((thrown) => log.error({ err: fromUnknown(thrown) }, 'a deadline failed'));
  const admission = new Admission(config, authenticator, revocations, failedLogins, limiter, upstreams);
  let routes = table;
  const localOperations = new LocalOperations({
    sessions,
    revocations,
    upstreams,
    table: () => routes,
    reload: () => reloader.reload(),
  });
  metrics.beforeScrape(() => {
    metrics.unready.set({ reason: 'draining' }, sessions.draining ? 1 : 0);
    metrics.unready.set({ reason: 'no_keys' }, keys.ready ? 0 : 1);
    metrics.revocationsUnsent.set(revocations.unsent);
  });
  const operations =
    siblings === undefined
      ? localOperations
      : new HostOperations(localOperations, siblings, config.revocationTtlMs);
  const listener = new Listener({
    config: config.listen,
    sessionParts: { config: config.session, admission, sessions, wheel, metrics, log },
    rules: {
      proxies: new TrustedProxies(config.opening.trustedProxies),
      origins: new AllowedOrigins(config.opening.allowedOrigins),
      subprotocolNames: config.credentials.subprotocolNames,
      match: (path) => routes.match(path),
    },
    failedLogins,
    endpoints: new HttpEndpoints(
      siblings ?? metrics,
      () => (sessions.draining ? 'draining' : keys.ready ? undefined : 'no verification keys yet'),
      new AdminApi({ token: config.adminToken, operations, log }),
    ),
    tracing,
  });
  const applyTable = (changed: RouteTable) => {
    routes = changed;
    const orphans = upstreams.apply(changed);
    for (const session of [...sessions]) {
      const tenancy = session.pump?.upstream.tenancy;
      if (tenancy !== undefined && orphans.has(tenancy)) session.close('endpointRemoved');
    }
  };
  const reloader: Pick<RouteReloader, 'start' | 'stop' | 'reload'> =
    siblings?.reloader ??
    new (await import('../config/routes/reload.js')).RouteReloader({
      source: routesSource,
      table,
      onTable: (changed) => {
        applyTable(changed);
        metrics.configReloads.inc({ result: 'ok' });
        log.info({ routes: changed.routes.length }, 'routes reloaded');
      },
      onProblems: (problems) => {
        metrics.configReloads.inc({ result: 'failed' });
        log.error({ problems: problems.map(problemLine) }, 'routes not reloaded: the ones in effect stay');
      },
    });
  revocations.onRevoked((revocation) => {
    cache.forget(revocation);
    const ended = closeRevoked(sessions, revocation);
    siblings?.revoked(revocation, ended);
  });
  const certificate =
    config.listen.tls &&
    new CertificateWatch({
      files: config.listen.tls,
      onChange: () =>
        listener.renewCertificate().then(
          () => log.info('certificate renewed'),
          (thrown) => log.error({ err: fromUnknown(thrown) }, 'certificate not renewed'),
        ),
      onProblems: (problems) =>
        log.error(
          { problems: problems.map(problemLine) },
          'certificate not renewed: the one in effect stays',
        ),
    });
  siblings?.introduce({ metrics, revocations, operations: localOperations, applyTable });

  const stop = async () => {
    log.info({ sessions: sessions.size }, 'draining');
    const { drainTimeoutMs, hardLimitMs } = config.shutdown;
    const endMs = performance.now() + drainTimeoutMs + hardLimitMs;
    certificate?.stop();
    await Promise.all([reloader.stop(), sessions.drain(drainTimeoutMs, hardLimitMs)]);
    listener.close();
    upstreams.stop();
    keys.stop();
    revocations.stop();
    await leases?.stop();
    limiter.stop();
    wheel.stop();
    heapTrim.stop();
    await Promise.all([stores.stop(), tracing.stop(endMs - performance.now())]);
    log.info('stopped');
    await flushed(log);
  };

  const serve = async () => {
    await stores.start();
    // Not before Redis had its chance: the leases of this host are void once those of all replicas are there.
    leases?.start();
    await revocations.start();
    await tracing.start();
    const port = await listener.listen();
    reloader.start();
    certificate?.start();
    log.info({ host: config.listen.host, port, routes: table.routes.length }, 'listening');
  };

  return {
    async start() {
      metrics.collectProcessMetrics();
      upstreams.apply(table);
      wheel.start();
      heapTrim.start();
      limiter.start();
      // The first fetch of the keys takes as long as it takes: until then /readyz says why not.
      await Promise.all([keys.start(), serve()]);
    },
    reload() {
      void reloader.reload().then(({ outcome }) => log.info({ outcome }, 'routes file read again'));
    },
    stop,
    abandon() {
      log.error('the supervisor is gone: draining');
      listener.leave();
      return stop();
    },
  };
}

/** Redis as the rate limits' leases want it. */
function leaseStore(redis: RedisStore): LeaseStore {
  return {
    get up() {
      return redis.up;
    },
    eval: (script, keys, args) => redis.runScript(script, keys, args),
  };
}

/** The leases of all replicas while Redis is up, and always those of this host. */
function sharedLedger(redis: RedisStore | undefined, host: Ledger | undefined): Ledger | undefined {
  const shared = redis && new LeaseLedger(leaseStore(redis));
  return shared !== undefined && host !== undefined ? new FallbackLedger(shared, host) : (shared ?? host);
}
