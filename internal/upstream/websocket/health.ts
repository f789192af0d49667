import { request as httpRequest } from 'node:http';
import type { UpstreamConfig, UpstreamRoute } from '../../config/config.js';
import { fromUnknown } from '../../errors.js';
import type { Log } from '../../telemetry/log/log.js';
import type { Metrics } from '../../telemetry/metrics/metrics.js';
import { Cancellation } from '../pool/cancellation.js';
import type { Endpoint } from '../pool/endpoint.js';
import { connectSocket } from '../socket/stream-socket.js';
import type { TlsContexts } from '../socket/tls-contexts.js';
import type { ConnectionTenancy } from './connection-ending.js';
import type { ConnectionShared } from './connection-shared.js';
import { socketTarget } from './dial.js';
import { DialFailure } from './dial-failure.js';
import { shakeHands } from './handshake.js';
import { openingRequest } from './opening-request.js';
import { targetUrl } from './target-url.js';

export interface HealthParts {
  readonly config: UpstreamConfig;
  readonly contexts: TlsContexts;
  readonly shared: ConnectionShared;
  readonly metrics: Metrics;
  readonly log: Log;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** How one endpoint is probed. */
export interface HealthCheck {
  readonly endpoint: Endpoint;
  /** The HTTP check; undefined: an opening handshake. */
  readonly http: UpstreamRoute['health'];
  /** Sub-protocols offered in the handshake: brokers refuse one without theirs. */
  readonly subprotocols: readonly string[];
}

/** Probes are spread over this part of the interval, so that replicas do not all probe at once. */
const JITTER = 0.2;

/** A probe's connection has no tenancy. */
const NOBODY: ConnectionTenancy = {
  evicted: false,
  name: 'health check',
  farewell: undefined,
  ended: () => {},
};

/**
 * Probes every endpoint of the table each interval, without any user's credentials: by an opening handshake
 * (101, or any answer below 500, is healthy), or by the route's own HTTP check. A success closes an open
 * circuit; a failure is only counted, as circuits open by the faults of sessions.
 */
export class Health {
  readonly #probes = new Map<Endpoint, Probe>();
  /** Of the current table. */
  checks: readonly HealthCheck[] = [];

  constructor(readonly parts: HealthParts) {}

  /** Probes these from now on, and no others. */
  apply(checks: readonly HealthCheck[]): void {
    this.checks = checks;
    if (this.parts.config.healthcheckIntervalMs <= 0) return;
    const kept = new Set(checks.map(({ endpoint }) => endpoint));
    for (const [endpoint, probe] of this.#probes) {
      if (kept.has(endpoint)) continue;
      probe.stop();
      this.#probes.delete(endpoint);
    }
    for (const check of checks) {
      const probe = this.#probes.get(check.endpoint);
      if (probe === undefined) this.#probes.set(check.endpoint, new Probe(this.parts, check));
      else probe.check = check;
    }
  }

  stop(): void {
    this.apply([]);
  }
}

class Probe {
  readonly #stopped = new Cancellation();
  #timer: NodeJS.Timeout;
  /** The previous outcome; a change is logged. */
  #wasHealthy: boolean = true;

  constructor(
    readonly parts: HealthParts,
    public check: HealthCheck,
  ) {
    // The first probe is at a random time of the interval, so that a table's endpoints are not all probed at
    // once.
    this.#timer = this.#in(parts.config.healthcheckIntervalMs * parts.random());
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stopped.cancel();
  }

  #in(ms: number): NodeJS.Timeout {
    return setTimeout(() => void this.#run(), ms);
  }

  async #run(): Promise<void> {
    const { config, metrics, log, random } = this.parts;
    const { endpoint } = this.check;
    const failure = await probe(this.parts, this.check, this.#stopped);
    if (this.#stopped.cancelled) return;
    if (failure === undefined) {
      metrics.upstreams.healthSuccess.inc();
      endpoint.breaker.healthy();
    } else {
      metrics.upstreams.healthFailure.inc();
      if (this.#wasHealthy)
        log.warn({ upstream: endpoint.name, reason: failure.message }, 'health check failed');
    }
    this.#wasHealthy = failure === undefined;
    this.#timer = this.#in(config.healthcheckIntervalMs * (1 + JITTER * (random() - 0.5)));
  }
}

/** What a probe needs. */
type ProbeParts = Pick<HealthParts, 'config' | 'contexts' | 'shared'>;

/** Probes an endpoint once. @returns why it is not healthy; undefined: it is. Never rejects. */
export async function probe(
  parts: ProbeParts,
  check: HealthCheck,
  cancellation: Cancellation,
): Promise<Error | undefined> {
  try {
    await (check.http === undefined ? handshake : get)(parts, check, cancellation);
    return undefined;
  } catch (thrown) {
    return thrown instanceof DialFailure && thrown.isHealthy ? undefined : fromUnknown(thrown);
  }
}

async function handshake(
  { config, contexts, shared }: ProbeParts,
  { endpoint, subprotocols }: HealthCheck,
  cancellation: Cancellation,
): Promise<void> {
  const { url } = endpoint;
  const target = targetUrl(url, { appendPath: false, rest: '', preserveQuery: false, query: '' });
  const connection = await shakeHands({
    target: socketTarget(endpoint, contexts),
    request: openingRequest(url.host, target, subprotocols, [], shared.keys.next()),
    timeoutMs: config.dialTimeoutMs,
    shared,
    tenancy: NOBODY,
    cancellation,
  });
  connection.close(1000, '');
}

function get(
  { config, contexts }: ProbeParts,
  { endpoint, http }: HealthCheck,
  cancellation: Cancellation,
): Promise<void> {
  const target = socketTarget(endpoint, contexts);
  const request = httpRequest({
    path: http?.path,
    headers: { Host: endpoint.url.host, Connection: 'close' },
    signal: AbortSignal.timeout(config.dialTimeoutMs),
    createConnection: () => connectSocket(target),
  });
  cancellation.watch(() => request.destroy());
  return new Promise((resolve, reject) => {
    request.on('error', reject).once('response', ({ statusCode }) => {
      request.destroy();
      if (statusCode === http?.status) resolve();
      else reject(new DialFailure(`it answered ${statusCode}, not ${http?.status}`, undefined, 'handshake'));
    });
    request.end();
  });
}
