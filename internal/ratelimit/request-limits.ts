import { hash } from 'node:crypto';
import { createRequire } from 'node:module';
import type { RequestLimit } from '../config/config.js';
import { fromUnknown } from '../errors.js';
import { forLog } from '../telemetry/log/log.js';
import {
  RequestBuckets,
  type RequestBucketsOptions,
  type RequestCounter,
  windowOf,
} from './request-buckets.js';

// Loaded where requests are counted over replicas. Not by import(): what fails once, never loads.
const load = createRequire(import.meta.url);

/** The part of Redis that request limits need. */
export interface RequestLimitStore {
  /** @throws GatewayError ERR_STORE. */
  runScript(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown>;
}

/** Whose requests are counted together. */
export interface RequestClient {
  readonly kind: 'sub' | 'ip';
  readonly name: string;
}

export interface RequestLimitsOptions extends RequestBucketsOptions {
  /** Shares the limits over replicas and workers; undefined: each host counts for itself. */
  readonly store: RequestLimitStore | undefined;
  /** Counts for all workers of this host; undefined: this process is the only one. */
  readonly host?: RequestCounter | undefined;
}

/**
 * A token bucket as the moment at which it will be full again: one number for each client, with a life as
 * long as it is not full. The server's clock alone is used: those of the replicas may differ. An empty
 * bucket is full after one window, whatever a clock that was put back, or a limit that was lower until now,
 * have left there.
 *
 * KEYS bucket; ARGV tokens wanted, -, burst, ms in which an empty bucket fills up. Returns tokens taken
 * (more than burst: refused, and nothing was taken), then ms until the next one is there.
 */
const TAKE = `
local wanted, burst, window = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local full = tonumber(redis.call('GETRANGE', KEYS[1], 0, -1)) or now
full = math.min(math.max(now, full), now + window + 1)
local after = full + wanted * window / burst
local over = after - now - window
if over > 1 then return {burst + 1, math.ceil(over)} end
redis.call('SET', KEYS[1], string.format('%.17g', after), 'PX', math.max(1, math.ceil(after - now)))
return {math.min(burst, math.ceil((after - now) * burst / window)), math.ceil(window / burst)}
`;

/** What rate-limiter-flexible asks of a Redis client with the script above. */
interface ScriptClient {
  rlflxIncr(args: readonly [key: string, ...args: string[]]): Promise<unknown>;
}

type Library = typeof import('rate-limiter-flexible');
type Shared = InstanceType<Library['RateLimiterRedis']>;

/** Rules whose limiters are kept; a reload may bring others. */
const MAX_RULES = 1_000;

/**
 * Limits the requests of a subject or an address (SPEC section 17, `rateLimit` of HTTP routes). Exact over
 * all replicas: a request waits for Redis, as no message does. If Redis does not answer, the host counts for
 * itself, and if its supervisor does not, the process does.
 */
export class RequestLimits {
  readonly #client: ScriptClient | undefined;
  readonly #host: RequestCounter | undefined;
  readonly #shared = new Map<string, Shared>();
  readonly #own: RequestBuckets;

  constructor({ store, host, ...own }: RequestLimitsOptions) {
    this.#client = store && { rlflxIncr: ([key, ...args]) => store.runScript(TAKE, [key], args) };
    this.#host = host;
    this.#own = new RequestBuckets(own);
  }

  /** Clients remembered in the process. */
  get size(): number {
    return this.#own.size;
  }

  /**
   * Counts one request.
   * @param scope names the route: each has buckets of its own.
   * @returns undefined if it may pass, else milliseconds until the next one may.
   */
  async take(scope: string, limit: RequestLimit, client: RequestClient): Promise<number | undefined> {
    // Subjects are anybody's text of any length: what names the bucket is not.
    const key = hash('sha256', JSON.stringify([scope, client.kind, client.name]), 'base64url');
    if (this.#client === undefined) return this.#takeHere(key, limit);
    const shared = this.#sharedOf(limit, this.#client);
    try {
      await shared.consume(key);
      return undefined;
    } catch (thrown) {
      if (isRefusal(thrown)) return Math.max(1, thrown.msBeforeNext);
      if (fromUnknown(thrown).name !== 'GatewayError') throw thrown;
      return this.#takeHere(key, limit);
    }
  }

  async #takeHere(key: string, limit: RequestLimit): Promise<number | undefined> {
    try {
      if (this.#host !== undefined) return await this.#host.take(key, limit);
    } catch {
      // The supervisor is gone, or hangs.
    }
    return this.#own.take(key, limit);
  }

  #sharedOf(limit: RequestLimit, storeClient: ScriptClient): Shared {
    const { burst } = limit;
    const windowMs = windowOf(limit);
    const rule = `${burst} ${windowMs}`;
    let shared = this.#shared.get(rule);
    if (shared === undefined) {
      if (this.#shared.size >= MAX_RULES) this.#shared.clear();
      // The library's own script counts in fixed windows: twice the burst passes where two of them meet. As
      // the unit of `duration` is the script's affair, it is milliseconds here.
      const { RateLimiterRedis } = load('rate-limiter-flexible') as Library;
      shared = new RateLimiterRedis({
        storeClient,
        // With the commands and keys of docs/stores.md a Redis user needs no rights of its own for this.
        keyPrefix: 'ws:ratelimit:requests',
        points: burst,
        duration: Math.max(1, windowMs),
        customIncrTtlLuaScript: TAKE,
      });
      this.#shared.set(rule, shared);
    }
    return shared;
  }
}

/** What the library throws for too many requests: no Error. */
function isRefusal(thrown: unknown): thrown is { readonly msBeforeNext: number } {
  return typeof thrown === 'object' && thrown !== null && 'msBeforeNext' in thrown;
}

/** For the log: the limit that was exceeded, and whose bucket it was. @param scope the route's prefix. */
export function limitNamed(
  scope: string,
  { requests, perMs, burst }: RequestLimit,
  { kind, name }: RequestClient,
): string {
  const pace = `${requests} requests a ${perMs === 60_000 ? 'minute' : 'second'}`;
  return `${pace} on ${scope}, ${burst} at once, of ${kind === 'ip' ? 'address' : 'sub'} ${forLog(name)}`;
}
