import type { Cluster, Redis } from 'ioredis';

export type RedisClient = Redis | Cluster;

/** What every connection to Redis has in common. */
export function connectionOptions(timeoutMs: number) {
  return {
    lazyConnect: true,
    connectionName: 'ws-gateway',
    disableClientInfo: true,
    connectTimeout: 2 * timeoutMs,
    commandTimeout: timeoutMs,
    sentinelCommandTimeout: timeoutMs,
    // A hung server answers nothing: its connection is given up, with all that waits on it.
    socketTimeout: 2 * timeoutMs,
    disconnectTimeout: 200,
    keepAlive: 10_000,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    protocol: 2,
  } as const;
}
