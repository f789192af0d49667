import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../../internal/app/lifecycle.js';
import { loadConfiguration } from '../../internal/config/environment/environment.js';
import { freePort } from '../demo/gateway/free-port.js';
import { startBackend } from '../demo/services/backend.js';
import { startBroker } from '../demo/services/broker.js';
import { UsageError } from '../line/command.js';
import { faultLines } from '../line/configuration.js';
import { DevIssuer } from './issuer.js';
import { startDevServer } from './server.js';

export interface DevOptions {
  readonly host: string;
  readonly port: number;
  /** Whether another port will do when that one is taken. */
  readonly anyPort: boolean;
  /** Whether clients may call this machine by any name. */
  readonly anyName: boolean;
  /** The user's own backend. */
  readonly upstream: string | undefined;
  readonly verbose: boolean;
}

/** Everything of `ws-gateway dev`, running. */
export interface Dev {
  /** `host:port` of the gateway. */
  readonly authority: string;
  readonly issuer: DevIssuer;
  /** Whether there is a backend at /app. */
  readonly ownBackend: boolean;
  stop(): Promise<void>;
}

export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host);
}

/**
 * A web page's own name can be made to resolve to loopback (DNS rebinding), and the page could then have
 * tokens for anybody. It cannot choose the Host of its requests; X-Forwarded-Host it can, so no proxy is
 * believed: this address is nobody's (RFC 5737 §3).
 */
const NO_PROXY = '192.0.2.0';
const OWN_NAMES = ['localhost', '127.0.0.1', '::1'];

/** @throws UsageError when the backend's URL is none of ours */
export async function startDev(options: DevOptions): Promise<Dev> {
  const { host, upstream } = options;
  const port = options.anyPort ? await freePort(options.port, host) : options.port;
  const hosts = options.anyName ? [] : [...OWN_NAMES, host];
  const issuer = await DevIssuer.create();
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  try {
    const [server, backend, broker] = await Promise.all([
      startDevServer(issuer),
      startBackend(),
      startBroker(),
    ]);
    stops.push(
      () => server.close(),
      () => backend.close(),
      () => broker.close(),
    );
    const directory = await mkdtemp(join(tmpdir(), 'ws-gateway-dev-'));
    stops.push(() => rm(directory, { recursive: true, force: true }));
    const routeFile = join(directory, 'routes.yaml');
    const routes = [
      { prefix: '/dev', upstream: `http://${server.address}/dev`, auth: 'public' },
      { prefix: '/echo', upstream: `ws://${server.address}/echo` },
      { prefix: '/rpc', upstream: `${backend.url}/rpc` },
      { prefix: '/mqtt', upstream: broker.url, protocol: 'mqtt' },
      ...(upstream === undefined
        ? []
        : [{ prefix: '/app', upstream, appendPath: true, preserveQuery: true }]),
    ].map((route) => (hosts.length === 0 ? route : { ...route, hosts }));
    await writeFile(routeFile, JSON.stringify(routes, undefined, 2));
    const loaded = loadConfiguration({
      HOST: host,
      PORT: String(port),
      ROUTE_FILE: routeFile,
      JWKS_URL: `http://${server.address}/dev/jwks.json`,
      JWT_EXPECTED_ISSUER: issuer.name,
      JWT_EXPECTED_AUDIENCE: issuer.audience,
      ...(options.anyName ? {} : { TRUSTED_PROXIES: NO_PROXY }),
      LOG_FORMAT: 'pretty',
      LOG_LEVEL: options.verbose ? 'debug' : 'warn',
      GRACEFUL_DRAIN_TIMEOUT_SECONDS: '0',
      SHUTDOWN_HARD_LIMIT: '1',
    });
    if ('problems' in loaded) throw new UsageError(faultLines(loaded));
    const { config } = loaded;
    const app = await createApp(
      { ...config, listen: { ...config.listen, ownHosts: hosts } },
      loaded.table,
      loaded.routesSource,
    );
    await app.start();
    stops.push(() => app.stop());
    const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    return { authority, issuer, ownBackend: upstream !== undefined, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}
