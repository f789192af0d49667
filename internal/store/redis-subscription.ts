import { Redis } from 'ioredis';
import { LastingConnection, type OpenConnection } from './lasting-connection.js';
import { connectionOptions, type RedisEndpoint } from './redis-connection.js';
import { isRefusal } from './redis-rights.js';

/** Who is told what comes in on a subscription. */
export interface RedisSubscriber {
  /** Bytes as they came, bounded only by the server. */
  onMessage(channel: Buffer, payload: Buffer): void;
  /** The subscription stands, for the first time or again: what was published before may have been missed. */
  onSubscribed(): void;
}

export interface SubscriptionOptions {
  /** A constant: nothing that came from a peer, whose `*` or `[` would be a pattern here. */
  readonly pattern: string;
  readonly subscriber: RedisSubscriber;
  readonly nextEndpoint: () => RedisEndpoint;
  readonly timeoutMs: number;
  readonly onTrouble: (thrown: unknown) => void;
  /** The server's access rules do not allow it; told at each attempt. */
  readonly onRefused: () => void;
}

/** An idle subscription is asked this often whether anyone is there. */
const PING_INTERVAL_MS = 2_000;

/** Listens to a pattern until closed, on a connection that is opened again whenever it is lost. */
export function subscribeToRedis(options: SubscriptionOptions): LastingConnection {
  return new LastingConnection(() => open(options), options.onTrouble);
}

async function open({
  pattern,
  subscriber,
  nextEndpoint,
  timeoutMs,
  onRefused,
}: SubscriptionOptions): Promise<OpenConnection> {
  const client = new Redis({
    ...connectionOptions(timeoutMs),
    ...nextEndpoint(),
    retryStrategy: null,
    enableOfflineQueue: false,
  });
  let failure: unknown;
  client.on('error', (error: unknown) => {
    failure = error;
  });
  client.on('pmessageBuffer', (_pattern: unknown, channel: Buffer, payload: Buffer) =>
    subscriber.onMessage(channel, payload),
  );
  const lost = new Promise((resolve) => client.once('end', resolve));
  try {
    await client.connect();
    await client.psubscribe(pattern);
  } catch (thrown) {
    client.disconnect();
    if (isRefusal(thrown)) onRefused();
    throw failure ?? thrown;
  }
  // An unanswered ping makes the connection's socketTimeout end it.
  const ping = setInterval(() => void client.ping().catch(() => {}), PING_INTERVAL_MS).unref();
  client.once('end', () => clearInterval(ping));
  subscriber.onSubscribed();
  return { lost, close: () => client.disconnect() };
}
