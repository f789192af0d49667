import type { Cluster, Redis, RedisOptions } from 'ioredis';

export type RedisClient = Redis | Cluster;

/** Where a Redis server is and how to log in, for one connection. */
export type RedisEndpoint = Pick<RedisOptions, 'username' | 'password' | 'db' | 'tls'> & {
  readonly host: string;
  readonly port: number;
};

/**
 * An endpoint from `redis[s]://[user[:password]@]host[:port][/database]`.
 * @param url already checked by the configuration.
 */
export function parseRedisUrl(url: string): RedisEndpoint {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '') || 'localhost';
  const database = Number.parseInt(pathname.slice(1), 10);
  return {
    host,
    port: port === '' ? 6379 : Number(port),
    ...(username === '' ? {} : { username: decoded(username) }),
    ...(password === '' ? {} : { password: decoded(password) }),
    ...(Number.isNaN(database) ? {} : { db: database }),
    // Certificates are checked against the host: Node's defaults.
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

/** A password with a bare `%` is taken as it was written. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What every connection to Redis has in common. */
export function connectionOptions(timeoutMs: number) {
  return {
    lazyConnect: true,
    connectionName: 'ws-gateway',
    disableClientInfo: true,
    connectTimeout: 2 * timeoutMs,
    commandTimeout: timeoutMs,
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
