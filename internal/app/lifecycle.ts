import type { Config, RouteTable } from '../config/config.js';
import type { RoutesSource } from '../config/routes/file.js';
import type { SettingsChange } from '../config/settings-reload.js';
import { tellSettings } from '../config/settings-words.js';
import { startFacts } from '../config/start-facts.js';
import { fromUnknown } from '../errors.js';
import { flushed } from '../telemetry/log/log.js';
import { version } from '../version.js';
import type { Siblings } from '../workers/siblings.js';
import { build } from './build.js';
import { askAboutLiveTokens, connect, watchCertificate } from './connect.js';
import { takeSettings } from './settings-in-effect.js';

/** A gateway of one process, or one worker of several. */
export interface App {
  /**
   * Resolves when clients can connect.
   * @throws GatewayError ERR_LISTEN, ERR_CONFIG
   */
  start(): Promise<void>;
  /** Reads the routes file again. */
  reload(): void;
  /** The settings file has changed. */
  settingsChanged(change: SettingsChange): void;
  /** Drains sessions and exchanges, then stops everything. */
  stop(): Promise<void>;
  /** Likewise in a worker whose supervisor is gone; it stops listening at once, so that others can. */
  abandon(): Promise<void>;
}

/**
 * A gateway, ready to start.
 * @param siblings the other workers of this host; undefined: this process is the whole gateway.
 */
export async function createApp(
  config: Config,
  table: RouteTable,
  routesSource: RoutesSource,
  siblings?: Siblings,
): Promise<App> {
  const parts = await build(config, table, routesSource, siblings);
  connect(parts);
  const certificate = watchCertificate(parts);
  const { log, metrics, tracing, stores, keys, revocations, bans, upstreams, leases } = parts;
  const { activity, limits, drains, limiter, sessions, exchanges, wheel, heapTrim, reloader } = parts;
  const { listener, adminListener, choice, routes, sockets } = parts;

  const stop = async () => {
    log.info({ sessions: sessions.size }, 'draining');
    const { drainTimeoutMs, hardLimitMs } = config.shutdown;
    const endMs = performance.now() + drainTimeoutMs + hardLimitMs;
    certificate?.stop();
    listener.drain();
    await Promise.all([
      reloader.stop(),
      sessions.drain(drainTimeoutMs, hardLimitMs),
      exchanges.drain(drainTimeoutMs),
    ]);
    exchanges.stop();
    listener.close();
    adminListener?.close();
    upstreams.stop();
    parts.targets.stop();
    keys.stop();
    parts.provider?.stop();
    await parts.tokenSlots.stop();
    revocations.stop();
    bans.stop();
    limits.stop();
    drains.stop();
    await activity?.stop();
    await leases?.stop();
    limiter.stop();
    wheel.stop();
    heapTrim.stop();
    await Promise.all([stores.stop(), tracing.stop(endMs - performance.now())]);
    log.info('stopped');
    await flushed(log);
  };

  const serve = async (routesReady: Promise<void>) => {
    await stores.start();
    // After Redis was tried: leases of this host alone lapse as soon as those of all replicas can be had.
    leases?.start();
    activity?.start();
    await Promise.all([revocations.start(), bans.start(), limits.start(), drains.start()]);
    await Promise.all([tracing.start(), routesReady]);
    // First, so that no client has connected yet if this port is taken.
    const adminPort = await adminListener?.listen();
    const port = await listener.listen();
    adminListener?.serve();
    reloader.start();
    // With several workers, the supervisor logs it once for all.
    if (parts.siblings !== undefined) return;
    log.info(
      {
        ...startFacts(config, routes.table),
        host: config.listen.host,
        port,
        adminHost: config.listen.admin?.host,
        adminPort,
        listener: choice.kind,
        why: choice.why,
        sockets: sockets.kind,
      },
      'listening',
    );
  };

  return {
    async start() {
      metrics.collectProcessMetrics();
      const build = { version: version(), node: process.version };
      metrics.process.buildInfo.set({ ...build, listener: choice.kind, sockets: sockets.kind }, 1);
      // Before clients are served: a change of the files while waiting for the stores must not be missed.
      certificate?.start();
      const routesReady = routes.start();
      wheel.start();
      heapTrim.start();
      limiter.start();
      exchanges.start();
      askAboutLiveTokens(parts);
      parts.tokenSlots.start();
      // Serving does not wait for the first fetch of the keys: until then /readyz answers 503 and says why.
      await Promise.all([keys.start(), serve(routesReady)]);
    },
    reload() {
      reloader.reload().then(
        ({ outcome }) => log.info({ outcome }, 'routes file read again'),
        (thrown) => log.error({ reason: fromUnknown(thrown).message }, 'routes file not read again'),
      );
    },
    settingsChanged(change) {
      takeSettings(change, parts);
      tellSettings(change, log);
    },
    stop,
    abandon() {
      log.error('the supervisor is gone: draining');
      listener.leave();
      return stop();
    },
  };
}
