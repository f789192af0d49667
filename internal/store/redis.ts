import { hash } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import { parseRedisUrl, type RedisEndpoint } from '../dsn/redis.js';
import { GatewayError } from '../errors.js';
import type { Log } from '../telemetry/log/log.js';
import { Availability } from './availability.js';
import { backoffMs } from './backoff.js';
import { withinDeadline } from './deadline.js';
import { connectionOptions, type RedisClient } from './redis-connection.js';
import { DISCONNECTED, meansRedisIsDown, redisFailure } from './redis-failure.js';
import { isRefusal, missingRight, missingRights, PROBE_KEY, type RedisPart } from './redis-rights.js';
import { type RedisSubscriber, RedisSubscriptions } from './redis-subscription.js';

export interface RedisStoreOptions {
  /** redis:// or rediss:// URLs, at least one; several are seeds of one cluster. Or one of Sentinels. */
  readonly urls: readonly string[];
  readonly log: Log;
  /** Time for one command, default 500. */
  readonly commandTimeoutMs?: number;
}

/** A start-up waits this long for Redis at most; the probe takes its command's time on top. */
const START_LIMIT_MS = 1_400;
/** While no right is missing they are looked at this often, besides at once when a command is refused. */
const RIGHTS_INTERVAL_MS = 30_000;

/**
 * The process' Redis: one connection for commands (one per node of a cluster) and one for all
 * subscriptions. Commands have a deadline, none waits for a connection, and while Redis is down or refuses
 * writes they fail at once.
 */
export class RedisStore {
  readonly #endpoints: readonly RedisEndpoint[];
  readonly #timeoutMs: number;
  readonly #client: RedisClient;
  readonly #availability: Availability;
  readonly #subscriptions: RedisSubscriptions;
  readonly #parts: RedisPart[] = [];
  /** The parts that subscriptions belong to, by their patterns. */
  readonly #patterns = new Map<string, RedisPart['name']>();
  #rightsCheckedMs = Number.NEGATIVE_INFINITY;
  /** Of the scripts that were run, by their text. */
  readonly #digests = new Map<string, string>();
  #lastError: unknown;

  constructor({ urls, log, commandTimeoutMs = 500 }: RedisStoreOptions) {
    this.#endpoints = urls.map(parseRedisUrl);
    this.#timeoutMs = commandTimeoutMs;
    this.#client = this.#createClient();
    this.#availability = new Availability({
      dependency: 'redis',
      log,
      probe: () => this.#probe(),
      reasonOf: (thrown) => this.#reasonOf(thrown),
    });
    let turn = 0;
    this.#subscriptions = new RedisSubscriptions({
      // The next node each time: the one that was lost may be gone for good.
      nextEndpoint: () => {
        const endpoints = this.#nodes();
        return endpoints[turn++ % endpoints.length] ?? { host: 'localhost', port: 6379 };
      },
      timeoutMs: this.#timeoutMs,
      onTrouble: (thrown) => {
        if (this.up) log.warn({ dependency: 'redis', reason: redisFailure(thrown) }, 'cannot subscribe');
      },
      onRightsChange: () => this.#checkRights(),
    });
    this.#client.on('error', (error: unknown) => {
      this.#lastError = error;
    });
    let lostMs = 0;
    this.#client.on('ready', () => {
      // What kept an earlier connection from standing says nothing of the end of this one.
      this.#lastError = undefined;
      void this.#availability.check();
    });
    this.#client.on('close', () => {
      lostMs = performance.now();
      this.#availability.failed(this.#reasonOf(this.#lastError ?? new Error('closed')));
    });
    this.#availability.onChange((up) => {
      // Commands may go to another server from now on: one that lives, but is cut off from it, would keep its
      // subscribers and tell them nothing. What is published in a cluster reaches all of its nodes.
      if (up && !this.#client.isCluster) this.#subscriptions.renew(lostMs);
    });
  }

  /** Whether Redis answers and takes writes. */
  get up(): boolean {
    return this.#availability.up;
  }

  /** Calls `listener` now and whenever Redis goes or comes back. */
  onChange(listener: (up: boolean) => void): void {
    this.#availability.onChange(listener);
  }

  /** Calls `listener` now and whenever what Redis can do for the gateway becomes whole, or is no longer. */
  onWholeChange(listener: (whole: boolean) => void): void {
    this.#availability.onWholeChange(listener);
  }

  /** Has the rights looked at that a part of the gateway needs, from the next check on. */
  serve(part: RedisPart): void {
    this.#parts.push(part);
    this.#rightsCheckedMs = Number.NEGATIVE_INFINITY;
  }

  /** Whether Redis is up and lets this part do all that it needs. */
  serves(part: RedisPart): boolean {
    return this.up && !this.#availability.missing.some((right) => right.startsWith(`${part.name}: `));
  }

  /** Connects, and keeps trying in the background. Resolves when Redis is up, or after 2 s. */
  async start(): Promise<void> {
    const connecting = this.#client.connect();
    await withinDeadline(connecting, START_LIMIT_MS).catch(() => {});
    await this.#availability.check();
  }

  /**
   * Runs one command, or several at once, against the deadline.
   * @param options.whileDown try although Redis is thought down; without it that fails at once.
   * @throws GatewayError ERR_STORE; its message is a code, fit for logs.
   */
  async run<T>(
    command: (client: RedisClient) => Promise<T>,
    options: { readonly whileDown?: boolean } = {},
  ): Promise<T> {
    if (!this.up && options.whileDown !== true) throw new GatewayError('ERR_STORE', 'redis: down');
    try {
      return await withinDeadline(command(this.#client), this.#timeoutMs);
    } catch (thrown) {
      const reason = redisFailure(thrown);
      if (isRefusal(thrown)) this.#checkRights();
      else if (meansRedisIsDown(reason)) this.#suspect(reason);
      // Without the cause: a library's error carries the arguments of its command.
      throw new GatewayError('ERR_STORE', `redis: ${reason}`);
    }
  }

  /**
   * Runs a Lua script, whose keys are all in one cluster slot. Its text goes out only to a
   * server that does not know it.
   * @throws GatewayError ERR_STORE, as `run`.
   */
  runScript(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const digest = this.#digests.get(script) ?? hash('sha1', script);
    this.#digests.set(script, digest);
    return this.run(async (client) => {
      try {
        return await client.evalsha(digest, keys.length, ...keys, ...args);
      } catch (thrown) {
        if (!(thrown instanceof Error && thrown.message.startsWith('NOSCRIPT'))) throw thrown;
        return client.eval(script, keys.length, ...keys, ...args);
      }
    });
  }

  /** Listens to a pattern, on a connection of all patterns, for as long as the store lives. */
  subscribe(part: RedisPart['name'], pattern: string, subscriber: RedisSubscriber): void {
    this.#patterns.set(pattern, part);
    this.#subscriptions.add(pattern, subscriber);
  }

  stop(): void {
    this.#availability.stop();
    this.#subscriptions.close();
    this.#client.disconnect();
  }

  /** Of a command that found no connection: why there is none, where that is known. */
  #reasonOf(thrown: unknown): string {
    const reason = redisFailure(thrown);
    return reason === DISCONNECTED && this.#lastError !== undefined ? redisFailure(this.#lastError) : reason;
  }

  /** One node's failure need not be the cluster's: a probe decides. A single server's counts at once. */
  #suspect(reason: string): void {
    if (this.#client.isCluster) void this.#availability.check();
    else this.#availability.failed(reason);
  }

  async #probe(): Promise<void> {
    const client = this.#client;
    const write = client.set(PROBE_KEY, '1', 'PX', 1000);
    const refused = await withinDeadline(write, this.#timeoutMs).then(
      () => [],
      (thrown: unknown) => {
        if (!isRefusal(thrown)) throw thrown;
        return [missingRight('revocations', 'SET', '{ws:revocations}:*')];
      },
    );
    const nowMs = performance.now();
    const due = nowMs - this.#rightsCheckedMs >= RIGHTS_INTERVAL_MS || refused.length > 0;
    if (this.#availability.missing.length === 0 && !due) return;
    this.#rightsCheckedMs = nowMs;
    this.#subscriptions.retryRefused();
    const missing = this.#parts.map((part) => missingRights(client, part));
    const found = (await withinDeadline(Promise.all(missing), this.#timeoutMs)).flat();
    const patterns = [...this.#subscriptions.refused].map((pattern) =>
      missingRight(this.#patterns.get(pattern) ?? 'subscriptions', 'PSUBSCRIBE', pattern),
    );
    this.#availability.lacks([...refused, ...found, ...patterns]);
  }

  #checkRights(): void {
    this.#rightsCheckedMs = Number.NEGATIVE_INFINITY;
    void this.#availability.check();
  }

  #nodes(): readonly RedisEndpoint[] {
    const [seed] = this.#endpoints;
    if (!(this.#client instanceof Cluster) || seed === undefined) return this.#endpoints;
    const discovered = this.#client.nodes().map(({ options: { host, port } }) => ({
      ...seed,
      ...(host !== undefined && { host }),
      ...(port !== undefined && { port }),
    }));
    return [...discovered, ...this.#endpoints];
  }

  #createClient(): RedisClient {
    const common = {
      ...connectionOptions(this.#timeoutMs),
      // A server that became a replica refuses writes: its name may lead to another one by now.
      reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    };
    const [first, ...others] = this.#endpoints;
    if (first === undefined) throw new RangeError('no Redis URL');
    if (others.length === 0) {
      const strategies = { retryStrategy: backoffMs, sentinelRetryStrategy: backoffMs };
      return new Redis({ ...common, ...first, ...strategies, enableOfflineQueue: false });
    }
    const { username, password, tls } = first;
    const login = { ...(username && { username }), ...(password && { password }), ...(tls && { tls }) };
    // Without the database: a cluster has but one. Names stay names: certificates are issued for them.
    const seeds = this.#endpoints.map(({ host = 'localhost', port = 6379 }) => ({ host, port }));
    return new Cluster(seeds, {
      dnsLookup: (address, callback) => callback(null, address),
      lazyConnect: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      clusterRetryStrategy: backoffMs,
      slotsRefreshTimeout: 1_000,
      // With the deadline above, more than a few redirections never matter.
      maxRedirections: 4,
      redisOptions: { ...common, ...login },
    });
  }
}
