import { hostname } from 'node:os';
import { Access } from '../access/access.js';
import { type ArrivalRules, matchesNow } from '../access/arrival.js';
import { Targets } from '../access/targets/targets.js';
import { SessionLog } from '../activity/session-log.js';
import { LocalOperations } from '../admin/local-operations.js';
import { Authenticator } from '../auth/authenticator.js';
import { Bans } from '../auth/bans/bans.js';
import { AskedProvider } from '../auth/introspection/asked-provider.js';
import { Claims, MemoryClaims } from '../auth/once/claims.js';
import { Revocations } from '../auth/revocations/revocations.js';
import { MemoryTokenCache } from '../auth/token-cache/memory.js';
import { TieredTokenCache } from '../auth/token-cache/tiered.js';
import { TrustedIssuers } from '../auth/trusted-issuers.js';
import type { Config, RouteTable } from '../config/config.js';
import type { RoutesSource } from '../config/routes/file.js';
import { hasHttpRoutes, largestMessageBytes } from '../config/routes/table.js';
import { verifiesTokens } from '../config/verifies-tokens.js';
import { fromUnknown } from '../errors.js';
import { Bootstraps } from '../exchange/bootstrap/bootstraps.js';
import { Exchanges } from '../exchange/exchanges.js';
import { methodFault, schemaFault } from '../exchange/handshake.js';
import { Intake } from '../exchange/intake.js';
import { chooseListener, type ListenerChoice } from '../gateway/choice.js';
import { Gate } from '../gateway/gate.js';
import { listenerLimits } from '../gateway/listener-limits.js';
import { OutboundHttp } from '../outbound/http.js';
import { ConnectionSlots } from '../ratelimit/connection-limits.js';
import { FailedLogins } from '../ratelimit/failed-logins.js';
import { Leases } from '../ratelimit/leases.js';
import { Limiter } from '../ratelimit/limiter.js';
import { LimitsInForce } from '../ratelimit/limits-in-force.js';
import { RequestLimits } from '../ratelimit/request-limits.js';
import { RouteRequests } from '../ratelimit/route-requests.js';
import type { TokenSlots } from '../ratelimit/token-slots/token-slots.js';
import { TrustedProxies } from '../request/forwarded.js';
import { AllowedOrigins } from '../request/origin.js';
import { HeapTrim } from '../runtime/heap-trim.js';
import { turnClock } from '../runtime/turn-clock.js';
import { Admission } from '../session/opening/admission.js';
import { Arrivals } from '../session/opening/arrivals.js';
import { Sessions } from '../session/sessions.js';
import { TimerWheel } from '../session/timer-wheel.js';
import { AccessLog } from '../telemetry/log/access-log.js';
import { createLog, type Log } from '../telemetry/log/log.js';
import { RecentRefusals } from '../telemetry/log/recent-refusals.js';
import { Metrics } from '../telemetry/metrics/metrics.js';
import { Tracing } from '../telemetry/traces/tracing.js';
import { Drains } from '../upstream/drains.js';
import { Sockets } from '../upstream/socket/sockets.js';
import { Upstreams } from '../upstream/upstreams.js';
import { HostOperations } from '../workers/host-operations.js';
import type { Siblings } from '../workers/siblings.js';
import { createListeners, type Listeners } from './listeners.js';
import { type Reloader, RoutesInEffect, watchRoutes } from './routes-in-effect.js';
import { sharedLedger } from './shared-ledger.js';
import { createStores, type Stores } from './stores.js';
import { tokenEndpoints } from './token-endpoints.js';

/** Every part that another one needs, or `connect` and the lifecycle. */
export interface Parts extends Listeners {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly stores: Stores;
  readonly keys: TrustedIssuers;
  readonly cache: TieredTokenCache;
  /** undefined: no token introspection. */
  readonly provider: AskedProvider | undefined;
  readonly revocations: Revocations;
  readonly bans: Bans;
  /** undefined: no activity is recorded. */
  readonly activity: SessionLog | undefined;
  readonly sockets: Sockets;
  readonly upstreams: Upstreams;
  readonly targets: Targets;
  readonly leases: Leases | undefined;
  readonly accessLog: AccessLog;
  readonly limits: LimitsInForce;
  readonly drains: Drains;
  readonly limiter: Limiter;
  readonly sessions: Sessions;
  readonly tokenSlots: TokenSlots;
  readonly exchanges: Exchanges;
  readonly wheel: TimerWheel;
  readonly heapTrim: HeapTrim;
  readonly routes: RoutesInEffect;
  readonly reloader: Reloader;
  readonly localOperations: LocalOperations;
  readonly choice: ListenerChoice;
  /** The other workers of this host; undefined: this process is the whole gateway. */
  readonly siblings: Siblings | undefined;
}

/** Constructs all parts and hands each the ones it needs. Starts nothing. */
export async function build(
  config: Config,
  table: RouteTable,
  routesSource: RoutesSource,
  siblings: Siblings | undefined,
): Promise<Parts> {
  const log = createLog({ ...config.telemetry, worker: siblings?.worker });
  const accessLog = new AccessLog(log, config.telemetry.logAccess);
  const metrics = new Metrics(config.telemetry.maxUsers);
  const instance = siblings === undefined ? hostname() : `${hostname()}/${siblings.worker}`;
  const tracing = new Tracing(config.tracing, instance, log);
  const stores = await createStores(config, metrics, log);
  const keys = TrustedIssuers.create(config.verification, log, metrics);
  const memory = new MemoryTokenCache(config.tokenCache.maxEntries);
  const cache = new TieredTokenCache(memory, stores.tokenCache, metrics);
  const provider = AskedProvider.of(config.verification, keys, log, metrics);
  const authenticator = new Authenticator(
    config.verification,
    keys,
    cache,
    metrics,
    undefined,
    provider?.introspection,
  );
  const revocations = new Revocations({
    ttlMs: config.revocationTtlMs,
    log,
    store: stores.revocations,
    counter: metrics.auth.revocations,
  });
  const claims = new Claims(stores.claims ?? siblings?.claims ?? new MemoryClaims());
  const sockets = new Sockets();
  const bans = new Bans({ list: stores.bans, log, counter: metrics.auth.bans });
  const refusals = new RecentRefusals();
  const activity = sessionLog(config, stores, metrics, log);
  const drains = new Drains({ list: stores.drains, log });
  const upstreams = new Upstreams(
    { ...config.upstream, controlTimeoutMs: config.session.controlTimeoutMs },
    metrics,
    log,
    undefined,
    sockets,
    drains,
  );
  const ledger = sharedLedger(stores.redis, siblings?.ledger);
  const now = turnClock();
  const leases = ledger && new Leases({ ledger, now });
  const limits = new LimitsInForce({ configured: config.rateLimit, list: stores.rateLimits, log });
  const limiter = new Limiter({ config: limits, shared: leases, now });
  const failedLogins = new FailedLogins();
  const slots = new ConnectionSlots(config.opening, stores.tokenSlots ?? siblings?.slots);
  const sessions = new Sessions(config.opening, slots, metrics);
  const wheel = new TimerWheel((thrown) => log.error({ err: fromUnknown(thrown) }, 'a deadline failed'));
  const targets = new Targets(log);
  const requests = new RouteRequests(
    limits,
    new RequestLimits({ store: stores.redis, host: siblings?.requests }),
  );
  const access = new Access({
    targets,
    requests,
    config: config.verification,
    authenticator,
    revocations,
    bans,
    failedLogins,
    slotsPerSub: slots.perSub,
    slotsPerToken: slots.perToken,
    claims,
    limiter,
  });
  const admission = new Admission(config, access, upstreams);
  const choice = await chooseListener(config.listen, hasHttpRoutes(table));
  const exchanges = new Exchanges();
  const maxMessageBytes = largestMessageBytes(table, config.session.maxMessageBytes);
  const routes = new RoutesInEffect(
    table,
    { upstreams, targets },
    { sessions, exchanges },
    metrics,
    listenerLimits(choice.kind, table, config.session.maxMessageBytes),
  );
  const reloader = siblings?.reloader ?? (await watchRoutes(routesSource, routes, metrics, log));
  const localOperations = new LocalOperations({
    sessions,
    exchanges,
    revocations,
    bans,
    limits,
    drains,
    upstreams,
    refusals,
    activity,
    accessLog,
    table: () => routes.table,
    reload: () => reloader.reload(),
  });
  const operations =
    siblings === undefined
      ? localOperations
      : new HostOperations(localOperations, siblings, config.revocationTtlMs);
  const proxies = new TrustedProxies(config.opening.trustedProxies);
  const origins = new AllowedOrigins(config.opening.allowedOrigins);
  const intake = new Intake({
    credentials: config.credentials,
    verifies: verifiesTokens(config.verification),
    hasSeveralIssuers: config.verification.issuers.length > 0,
    proxies,
    origins,
    table: () => routes.table,
    access,
    requests,
    perIp: slots.perIp,
    revocations,
    upstreams,
    bootstraps: new Bootstraps({
      env: config.commandEnvironment,
      outbound: new OutboundHttp(config.verification.proxies),
      upstreams,
      rowField: (route, caller, field) => access.rowField(route, caller, field),
      credentials: config.credentials,
      hostTurns: siblings?.turns,
      log,
    }),
    exchanges,
    refusals,
    history: activity,
    metrics,
    tracing,
    accessLog,
  });
  const arrivals = new Arrivals({ perSecond: config.opening.maxHandshakesPerSecond });
  const rules: ArrivalRules = {
    proxies,
    origins,
    subprotocolNames: config.credentials.subprotocolNames,
    match: (path, host) => routes.match(path, host),
    methodFault,
    schemaFault: (match, head) => schemaFault(match, head, config.credentials),
  };
  const gate = new Gate(
    {
      ...{ config: config.session, admission, sessions, wheel, metrics, log, arrivals },
      ...{ accessLog, refusals, history: activity },
      routes: {
        matches: (opening) => matchesNow(opening, rules),
        successor: (route) => routes.successor(route),
      },
    },
    rules,
    failedLogins,
    tracing,
  );
  const listeners = await createListeners(config, {
    choice,
    maxMessageBytes,
    gate,
    httpRoutes: intake,
    operations,
    tokenEndpoints: tokenEndpoints(config, { access, failedLogins, keys, claims, operations, proxies, log }),
    keys,
    sessions,
    metrics,
    log,
    sockets,
    siblings,
    table: () => routes.table,
  });
  const heapTrim = new HeapTrim(() => sessions.size);
  return {
    ...{ targets, provider, tokenSlots: slots.perToken },
    ...{ config, log, metrics, tracing, stores, keys, cache, revocations, bans, upstreams, leases },
    ...{
      activity,
      limits,
      drains,
      limiter,
      sessions,
      exchanges,
      wheel,
      heapTrim,
      routes,
      reloader,
      localOperations,
    },
    accessLog,
    ...listeners,
    ...{ choice, siblings, sockets },
  };
}

function sessionLog(
  { activity }: Config,
  { postgres }: Stores,
  metrics: Metrics,
  log: Log,
): SessionLog | undefined {
  if (activity === undefined || postgres === undefined) return undefined;
  return new SessionLog({
    store: postgres,
    keptMs: activity.keptMs,
    dropped: metrics.process.activityDropped,
    log,
  });
}
