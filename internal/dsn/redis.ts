import type { RedisOptions } from 'ioredis';

/** Where a Redis server is, or the Sentinels that know, and how to log in, for one connection. */
export type RedisEndpoint = Pick<
  RedisOptions,
  | 'username'
  | 'password'
  | 'db'
  | 'tls'
  | 'host'
  | 'port'
  | 'sentinels'
  | 'name'
  | 'enableTLSForSentinelMode'
  | 'sentinelTLS'
>;

const SENTINEL_URL =
  /^redis(s?)\+sentinel:\/\/(?:([^@/]*?)(?::([^@/]*))?@)?([^@/?#]+)\/([^/?#\s]+)(?:\/(\d+))?$/;
const ADDRESS = /^(\[[\da-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/;

/** Whether a URL names Sentinels: it may hold commas. */
export function isSentinelUrl(url: string): boolean {
  const [, , , , addresses] = SENTINEL_URL.exec(url) ?? [];
  return addresses?.split(',').every((address) => ADDRESS.test(address)) ?? false;
}

/**
 * An endpoint from `redis[s]://[user[:password]@]host[:port][/database]` or, where the login is that of the
 * servers, `redis[s]+sentinel://[user[:password]@]host[:port],…/master[/database]`.
 * @param url already checked by the configuration.
 */
export function parseRedisUrl(url: string): RedisEndpoint {
  const sentinel = SENTINEL_URL.exec(url);
  return sentinel === null ? parseServerUrl(url) : parseSentinelUrl(sentinel);
}

function parseSentinelUrl([
  ,
  secure,
  username,
  password,
  addresses = '',
  name,
  database,
]: RegExpExecArray): RedisEndpoint {
  return {
    sentinels: addresses.split(',').map((address) => {
      const [, host = 'localhost', port = '26379'] = ADDRESS.exec(address) ?? [];
      return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
    }),
    ...(name && { name: decoded(name) }),
    ...(username && { username: decoded(username) }),
    ...(password && { password: decoded(password) }),
    ...(database && { db: Number(database) }),
    ...(secure && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true }),
  };
}

function parseServerUrl(url: string): RedisEndpoint {
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
