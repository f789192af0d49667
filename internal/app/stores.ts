import { randomBytes } from 'node:crypto';
import { SESSION_LOG_TABLE } from '../activity/session-log.js';
import { BANS_TABLE } from '../auth/bans/ban.js';
import type { ClaimStore } from '../auth/once/claims.js';
import { CLAIMS_TABLE, PostgresClaims } from '../auth/once/postgres.js';
import { RedisClaims } from '../auth/once/redis.js';
import { RememberedClaims } from '../auth/once/remembered.js';
import { PostgresRevocations, REVOCATIONS_TABLE } from '../auth/revocations/postgres.js';
import { RedisRevocations } from '../auth/revocations/redis.js';
import type { RevocationStore } from '../auth/revocations/revocation-store.js';
import type { TokenCacheStore } from '../auth/token-cache/cache.js';
import { JWT_CACHE_TABLE, PostgresTokenCache } from '../auth/token-cache/postgres.js';
import { RedisTokenCache } from '../auth/token-cache/redis.js';
import { EntrySeal } from '../auth/token-cache/sealed-entry.js';
import type { Config } from '../config/config.js';
import { RATE_LIMITS_TABLE } from '../ratelimit/limits-in-force.js';
import { PostgresSlots, TOKEN_SLOTS_TABLE } from '../ratelimit/token-slots/postgres.js';
import { RedisSlots } from '../ratelimit/token-slots/redis.js';
import type { SlotStore } from '../ratelimit/token-slots/slot-store.js';
import type { PostgresStore } from '../store/postgres.js';
import { PostgresRecords, postgresTableOf, type RecordTable } from '../store/records/postgres-records.js';
import { RedisRecords } from '../store/records/redis-records.js';
import type { RecordList } from '../store/records/shared-records.js';
import type { RedisStore } from '../store/redis.js';
import type { Log } from '../telemetry/log/log.js';
import type { Metrics } from '../telemetry/metrics/metrics.js';
import { DRAINS_TABLE } from '../upstream/drains.js';

/** What the replicas share through Redis or Postgres; undefined where neither is configured. */
export interface Stores {
  readonly redis: RedisStore | undefined;
  readonly postgres: PostgresStore | undefined;
  /** undefined: tokens are remembered in this process only. */
  readonly tokenCache: TokenCacheStore | undefined;
  /** Redis if there is one, else Postgres; undefined: revocations stay in this process. */
  readonly revocations: RevocationStore | undefined;
  /** In the same store as revocations; likewise those below. */
  readonly bans: RecordList | undefined;
  readonly claims: ClaimStore | undefined;
  /** undefined too where MAX_SESSIONS_PER_TOKEN is 0. */
  readonly tokenSlots: SlotStore | undefined;
  readonly rateLimits: RecordList | undefined;
  readonly drains: RecordList | undefined;
  /** Waits for each store for 2 s at most: one that is down is connected to later. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Creates the configured stores, not yet started. With both Redis and Postgres, JWT_CACHE_STORE chooses where
 * the token cache is, and everything else is in Redis.
 */
export async function createStores(config: Config, metrics: Metrics, log: Log): Promise<Stores> {
  const redis = await createRedis(config, log);
  const postgres = await createPostgres(config, log);
  redis?.onWholeChange((whole) => metrics.process.dependencyUp.set({ dependency: 'redis' }, whole ? 1 : 0));
  postgres?.onWholeChange((whole) =>
    metrics.process.dependencyUp.set({ dependency: 'postgres' }, whole ? 1 : 0),
  );
  return {
    redis,
    postgres,
    tokenCache: tokenCacheStore(config, redis, postgres, metrics, log),
    revocations: revocationStore(config, redis, postgres),
    bans: recordList(BANS_TABLE, redis, postgres),
    claims: claimStore(redis, postgres),
    tokenSlots: config.opening.maxSessionsPerToken === 0 ? undefined : tokenSlots(redis, postgres),
    rateLimits: recordList(RATE_LIMITS_TABLE, redis, postgres),
    drains: recordList(DRAINS_TABLE, redis, postgres),
    async start() {
      await Promise.all([redis?.start(), postgres?.start()]);
    },
    async stop() {
      redis?.stop();
      await postgres?.stop();
    },
  };
}

// Imported only where they are used, as their libraries take 15 MB of each process.

async function createRedis({ redisUrls: urls }: Config, log: Log): Promise<RedisStore | undefined> {
  if (urls.length === 0) return undefined;
  const { RedisStore } = await import('../store/redis.js');
  return new RedisStore({ urls, log });
}

async function createPostgres(
  { postgresDsn: dsn, activity, opening }: Config,
  log: Log,
): Promise<PostgresStore | undefined> {
  if (dsn === undefined) return undefined;
  const { PostgresStore } = await import('../store/postgres.js');
  return new PostgresStore({
    dsn,
    log,
    tables: [
      JWT_CACHE_TABLE,
      REVOCATIONS_TABLE,
      postgresTableOf(BANS_TABLE),
      postgresTableOf(RATE_LIMITS_TABLE),
      postgresTableOf(DRAINS_TABLE),
      ...(activity === undefined ? [] : [SESSION_LOG_TABLE]),
      CLAIMS_TABLE,
      ...(opening.maxSessionsPerToken === 0 ? [] : [TOKEN_SLOTS_TABLE]),
    ],
  });
}

function tokenCacheStore(
  { tokenCache: { store, prefix, secret } }: Config,
  redis: RedisStore | undefined,
  postgres: PostgresStore | undefined,
  metrics: Metrics,
  log: Log,
): TokenCacheStore | undefined {
  if (store === 'memory') return undefined;
  // Without CACHE_SECRET (which is warned about) entries of other processes cannot be trusted: with a random
  // secret, each process believes its own entries only.
  const seal = new EntrySeal(secret ?? randomBytes(32).toString('base64url'));
  if (store === 'redis' && redis !== undefined) return new RedisTokenCache(redis, prefix, seal);
  if (store === 'postgres' && postgres !== undefined) return new PostgresTokenCache(postgres, prefix, seal);
  const variable = store === 'redis' ? 'REDIS_URL' : 'POSTGRES_DSN';
  log.warn(`JWT_CACHE_STORE is ${store} but ${variable} is not set: tokens are remembered in memory`);
  metrics.process.dependencyUp.set({ dependency: store }, 0);
  return undefined;
}

function revocationStore(
  { revocationTtlMs }: Config,
  redis: RedisStore | undefined,
  postgres: PostgresStore | undefined,
): RevocationStore | undefined {
  if (redis !== undefined) return new RedisRevocations(redis, revocationTtlMs);
  return postgres === undefined ? undefined : new PostgresRevocations(postgres, revocationTtlMs);
}

function claimStore(
  redis: RedisStore | undefined,
  postgres: PostgresStore | undefined,
): ClaimStore | undefined {
  if (redis !== undefined) return new RememberedClaims(new RedisClaims(redis), redis);
  return postgres && new RememberedClaims(new PostgresClaims(postgres), postgres);
}

function tokenSlots(
  redis: RedisStore | undefined,
  postgres: PostgresStore | undefined,
): SlotStore | undefined {
  if (redis !== undefined) return new RedisSlots(redis);
  return postgres && new PostgresSlots(postgres);
}

function recordList(
  table: RecordTable,
  redis: RedisStore | undefined,
  postgres: PostgresStore | undefined,
): RecordList | undefined {
  if (redis !== undefined) return new RedisRecords(redis, table.name);
  return postgres === undefined ? undefined : new PostgresRecords(postgres, table);
}
